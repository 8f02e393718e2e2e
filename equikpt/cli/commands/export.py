from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option, required, whole

if TYPE_CHECKING:
    from equikpt.export import Exported, Metadata


@dataclass(frozen=True, kw_only=True)
class ExportOptions(declare.ReadsImages):
    """Write a trained model as one ONNX file, which runs without torch.

      equikpt export PROJECT --out model.onnx
      equikpt export --config NAME --checkpoint FILE.pth --out model.onnx --images DIR

    The file takes uint8 crops, RGB, and gives keypoints, scores and what else the model says. It is
    compared with the model on real images before it is written. Exit code 2: it differs too much,
    or the input is wrong; nothing is written then.
    """

    project: str | None = argument(
        "a project folder or a run's, which has config and checkpoint",
        None,
        nargs="?",
        metavar="PROJECT",
    )
    config: str | None = option(
        "config of the model: path, name or project folder", metavar="CONFIG"
    )
    checkpoint: Path | None = declare.checkpoint_option()
    refine: Path | None = option(
        "checkpoint of a ruler's second stage, which goes into the same file",
        metavar="FILE.pth|DIR",
    )
    refine_config: str = option(
        "config of that checkpoint",
        metavar="CONFIG",
        default="td-hm_efficientnet-lite0_p1p2-refine-192x192",
    )
    out: Path = required("file to write", metavar="FILE.onnx")
    flip_test: bool | None = option(
        "average with the mirrored crop, in the file (default: as the config says)",
        "--flip-test",
        action="store_true",
        at_most_one_of="flip",
    )
    no_flip_test: bool = option(
        "take the plain crop alone: half the time", default=False, at_most_one_of="flip"
    )
    reader: str | None = option(
        "library that reads the file and decodes by itself: rtmlib",
        "--for",
        choices=("rtmlib",),
    )
    level: float = option(
        "probability that a keypoint lies within its radius",
        default=0.9,
        type=number(ABOVE_0, 1),
        metavar="FRACTION",
    )
    opset: int = option("version of ONNX's operators", default=18, type=whole(17, 20))
    fp16: bool = option("store the weights in float16: half the size", default=False)
    images: Path | None = option(
        "folder of images to compare the file with the model on (default: validation images)",
        metavar="DIR",
    )
    image_count: int = option("images to compare on", default=50, type=whole(1))
    parity: bool = option("do not compare; the file says so", default=True)
    overwrite: bool = declare.overwrite("a file that is there")


def main(argv: list[str] | None = None) -> int:
    """Export, and print the file, its size, the differences and what is inside; 0 when done."""
    options = declare.parse(ExportOptions, argv)
    if (options.project is None) == (options.config is None):
        raise ValueError(
            "expected a project folder or --config, got "
            f"{'neither' if options.project is None else 'both'}"
        )
    from equikpt.export import export_for_rtmlib, export_model

    if options.reader and options.refine:
        raise ValueError("expected --for rtmlib without --refine: rtmlib reads no rulers")
    export = export_for_rtmlib if options.reader else export_model
    ruler = dict(refine=options.refine, refine_config=options.refine_config)
    exported = export(
        options.project or options.config,
        options.out,
        options.checkpoint,
        flip_test=False if options.no_flip_test else options.flip_test,
        level=options.level,
        opset=options.opset,
        images=options.images,
        image_count=options.image_count,
        parity=options.parity,
        half=options.fp16,
        overwrite=options.overwrite,
        **({} if options.reader else ruler),
    )
    print("\n".join(summary_lines(exported)))
    return 0


def summary_lines(exported: Exported) -> list[str]:
    """Name a file that was written, with its size, what is inside and its parity."""
    megabytes = exported.path.stat().st_size / 1e6
    return [
        f"written: {exported.path} ({megabytes:.1f} MB)",
        *inside_lines(exported.metadata),
        f"outputs: {', '.join(exported.outputs)}",
        parity_line(exported.metadata),
    ]


def inside_lines(metadata: Metadata) -> list[str]:
    """State what a file holds."""
    width, height = metadata.input["size"]
    absent = len(metadata.trained) - sum(metadata.trained)
    return [
        f"{metadata.task} of {metadata.name}: {len(metadata.keypoints)} keypoints"
        f"{f', {absent} of them untrained' if absent else ''}, {width} x {height} px, "
        f"{metadata.precision}{', flip test' if metadata.flip_test else ''}",
        f"radii and calibrated scores: {_source(metadata.uncertainty)}",
        f"refusal of images unlike the training: {_source(metadata.novelty)}",
    ]


def _source(section: dict | None) -> str:
    if section is None:
        return "none, the checkpoint has no record"
    return f"fitted to {section['source']}" if section["source"] else "yes"


def parity_line(metadata: Metadata) -> str:
    """State how far a file is from its model."""
    parity = metadata.parity
    if parity is None:
        return "differences from the model: not measured"
    others = ", ".join(f"{name} {value:.2g}" for name, value in parity["others"].items())
    return (
        f"differences from {parity['against']} on {parity['images']} images: mean "
        f"{parity['mean_px']:.4f} px, at most {parity['max_px']:.4f} px of the input"
        f"{f'; {others}' if others else ''}"
    )
