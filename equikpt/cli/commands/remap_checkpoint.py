from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from equikpt.cli import options as declare
from equikpt.cli.options import argument, option, required
from equikpt.metainfo.correspondence import KEYPOINT_NAMES


@dataclass(frozen=True, kw_only=True)
class RemapOptions:
    """Fit a checkpoint to a model of other keypoints.

    Channels of points that both sets have are copied, the others start from their mean. Prints what
    becomes of every tensor. A config does the same without a file by the hook RemapCheckpointHook.
    """

    checkpoint: str = argument(
        "checkpoint of MMPose 1.x or 0.x, or the folder of its run", metavar="FILE.pth|DIR"
    )
    out: str = argument("file to write, for load_from", metavar="OUT.pth")
    config: str = required("config of the model, by path or name", metavar="CONFIG")
    source: str = required(
        f"the checkpoint's keypoints: {', '.join(KEYPOINT_NAMES)}", metavar="SET"
    )
    target: str = option("the model's keypoints, one of the same", default="horse26", metavar="SET")
    allow_missing: Sequence[str] = option(
        "tensors that may keep the values that the model starts with, such as 'head.cls_*'",
        default=(),
        metavar="PATTERN",
    )
    overwrite: bool = declare.overwrite()


def main(argv: list[str] | None = None) -> int:
    """Write the fitted checkpoint; 0 when done."""
    options = declare.parse(RemapOptions, argv)
    from equikpt.checkpoints.remap import remap_file
    from equikpt.checkpoints.remap_state import format_rows

    rows = remap_file(**vars(options))
    print("\n".join(format_rows(rows)))
    print(f"written: {options.out}")
    return 0
