"""Draw what a trained model sees: in an image, many images, or a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.entry import whole
from equikpt.cli.options import option, required

FILES = "what to look at, and where to write"
BOXES = "boxes (default: the whole image)"
DRAWN = "what is drawn"
VIDEOS = "videos"
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class VisualizeOptions(declare.ReadsImages):
    """Draw what a trained model sees: in an image, many images, or a video.

      python tools/visualize.py --config NAME --checkpoint FILE.pth --img horse.jpg --out pose.jpg
      ... --img-dir stable/ --out poses/             each image again
      ... --img "stable/*.jpg" --out sheet.jpg       all on one sheet
      ... --video trot.mp4 --out poses.mp4 --smooth --dlc tracks.csv

    Exit code 0: everything is shown; 1: some images or frames could not be read; 2: wrong input.
    """

    config: str = required("path or name of the model's config")
    checkpoint: Path = required("trained weights", metavar="FILE.pth")
    device: str | None = declare.device()
    batch_size: int = option("boxes at once", default=8, type=whole(1), metavar="N")
    overwrite: bool = declare.overwrite("what is there")

    img: Sequence[str] = option(
        "images, or globs in quotes", default=(), metavar="IMAGE", group=FILES, one_of="source"
    )
    img_dir: Path | None = declare.img_dir(group=FILES, one_of="source")
    video: Path | None = option(
        "file to read frames from", metavar="FILE", group=FILES, one_of="source"
    )
    out: Path | None = option(
        "the video, the image or one sheet of several; or a folder for NAME_pose.jpg of each image",
        metavar="FILE|DIR",
        group=FILES,
    )
    out_file: Path | None = option("the same, of images", metavar="FILE", group=FILES)
    out_dir: Path | None = option("the same, for NAME_pose.jpg", metavar="DIR", group=FILES)
    csv: Path | None = option("a row a keypoint", metavar="FILE", group=FILES)
    dlc: Path | None = option(
        "DeepLabCut's table of tracks, .csv or .h5", metavar="FILE", group=FILES
    )

    box: Sequence[Box] = option(
        "in px; repeat it for several animals",
        default=(),
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
        group=BOXES,
    )
    ann_file: Path | None = option("COCO annotations", metavar="FILE.json", group=BOXES)
    detector: str | None = option(
        "of torchvision, such as fasterrcnn_resnet50_fpn_v2, or a config of mmdet (.py)",
        metavar="NAME",
        group=BOXES,
    )
    detector_checkpoint: Path | None = option(
        "its weights; none is downloaded", metavar="FILE", group=BOXES
    )
    detector_class: str = option("what it finds", default="horse", metavar="NAME", group=BOXES)
    detector_score: float = option("least of a box", default=0.5, metavar="SCORE", group=BOXES)

    names: bool = option("of keypoints", default=False, group=DRAWN)
    threshold: float = option(
        "score below which a point is hollow and has no links",
        default=0.3,
        metavar="SCORE",
        group=DRAWN,
    )
    min_score: float = option(
        "score below which a point is left out",
        "--min-score",
        "--least-score",
        default=0.1,
        metavar="SCORE",
        group=DRAWN,
    )
    gt: Literal["beside", "over"] | None = option(
        "labels of --ann-file, with lines of the errors in px", group=DRAWN
    )
    overlay: Literal["heatmap", "simcc"] | None = option(
        "where the model sees the points; simcc: with its distributions along x and y", group=DRAWN
    )

    track: bool = option("do not number the animals", default=True, group=VIDEOS)
    smooth: bool = option("steady keypoints (One Euro filter)", default=False, group=VIDEOS)
    min_cutoff: float = option(
        "of the filter at rest; lower is smoother", default=1.0, metavar="HZ", group=VIDEOS
    )
    beta: float = option(
        "Hz more for a speed of one box a second; higher lags less", default=20.0, group=VIDEOS
    )


def main(argv: list[str] | None = None) -> int:
    """Predict and draw; 1 where an image or a frame could not be read."""
    options = declare.parse(VisualizeOptions, argv)
    from equikpt.cli.visualize import visualize

    outcome = visualize(options)
    told = [*outcome.problems, *outcome.notes]
    print("\n".join([*told, *(f"written: {line}" for line in outcome.written)]))
    return int(bool(outcome.problems))
