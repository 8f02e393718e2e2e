"""Draw what a trained model sees: in a picture, many pictures, or a video.

  python tools/visualize.py --config NAME --checkpoint FILE.pth --img horse.jpg --out-file pose.jpg
  ... --img-dir stable/ --out-dir poses/             each picture again
  ... --img "stable/*.jpg" --out-file sheet.jpg      all on one sheet
  ... --video trot.mp4 --out poses.mp4 --smooth --dlc tracks.csv

Exit code 0: everything is shown; 1: some pictures or frames could not be read; 2: wrong input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import add_max_megapixels, whole


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, help="path or name of the model's config")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE.pth")
    parser.add_argument("--device", help="such as cuda:0 (default: a GPU if there is one)")
    parser.add_argument(
        "--batch-size", type=whole(1), default=8, metavar="N", help="boxes at once (default: 8)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_files(parser)
    add_boxes(parser)
    add_look(parser)
    add_video(parser)
    add_max_megapixels(parser)
    return parser


def add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to look at, and where to write")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--img", nargs="+", action="extend", metavar="IMAGE", help="pictures, or globs in quotes"
    )
    source.add_argument("--img-dir", type=Path, metavar="DIR", help="folder of pictures")
    source.add_argument("--video", type=Path, metavar="FILE")
    group.add_argument(
        "--out-file", type=Path, metavar="FILE", help="the picture, or one sheet of several"
    )
    group.add_argument("--out-dir", type=Path, metavar="DIR", help="for NAME_pose.jpg of each")
    group.add_argument("--out", type=Path, metavar="FILE.mp4", help="the video with the poses")
    group.add_argument("--csv", type=Path, metavar="FILE", help="a row a keypoint")
    group.add_argument(
        "--dlc", type=Path, metavar="FILE", help="DeepLabCut's table of tracks, .csv or .h5"
    )


def add_boxes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("boxes (default: the whole picture)")
    group.add_argument(
        "--box",
        type=float,
        nargs=4,
        action="append",
        default=[],
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
        help="in px; repeat it for several animals",
    )
    group.add_argument("--ann-file", type=Path, metavar="FILE.json", help="COCO annotations")
    group.add_argument(
        "--detector",
        metavar="NAME",
        help="of torchvision, such as fasterrcnn_resnet50_fpn_v2, or a config of mmdet (.py)",
    )
    group.add_argument(
        "--detector-checkpoint", type=Path, metavar="FILE", help="its weights; none is downloaded"
    )
    group.add_argument(
        "--detector-class", default="horse", metavar="NAME", help="(default: %(default)s)"
    )
    group.add_argument(
        "--detector-score",
        type=float,
        default=0.5,
        metavar="SCORE",
        help="least of a box (default: %(default)s)",
    )


def add_look(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is drawn")
    group.add_argument("--names", action="store_true", help="of keypoints")
    group.add_argument(
        "--threshold",
        type=float,
        default=0.3,
        metavar="SCORE",
        help="score below which a point is hollow and has no links (default: %(default)s)",
    )
    group.add_argument(
        "--least-score",
        type=float,
        default=0.1,
        metavar="SCORE",
        help="score below which a point is left out (default: %(default)s)",
    )
    group.add_argument(
        "--truth",
        choices=("beside", "over"),
        help="labels of --ann-file, with lines of the errors in px",
    )
    group.add_argument(
        "--overlay",
        choices=("heatmap", "simcc"),
        help="where the model sees the points; simcc: with its distributions along x and y",
    )


def add_video(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("videos")
    group.add_argument("--no-track", action="store_true", help="do not number the animals")
    group.add_argument("--smooth", action="store_true", help="steady keypoints (One Euro filter)")
    group.add_argument(
        "--min-cutoff",
        type=float,
        default=1.0,
        metavar="HZ",
        help="of the filter at rest; lower is smoother (default: %(default)s)",
    )
    group.add_argument(
        "--beta",
        type=float,
        default=20.0,
        help="Hz more for a speed of one box a second; higher lags less (default: %(default)s)",
    )


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.apis.video.one_euro import OneEuroOptions
    from equikpt.apis.video.tracking import TrackOptions
    from equikpt.cli.visualize import VisualizeOptions, visualize
    from equikpt.visualization.predictions import Look

    given = vars(args)
    look = {name: given.pop(name) for name in ("names", "threshold", "min_score")}
    look |= {name: given.pop(name) for name in ("truth", "overlay")}
    filtering = OneEuroOptions(given.pop("min_cutoff"), given.pop("beta"))
    options = VisualizeOptions(
        look=Look(**look),
        track=None if given.pop("no_track") else TrackOptions(min_score=look["threshold"]),
        smooth=filtering if given.pop("smooth") else None,
        boxes=given.pop("box"),
        img=given.pop("img") or (),
        **given,
    )
    outcome = visualize(options)
    told = [*outcome.problems, *outcome.notes]
    print("\n".join([*told, *(f"written: {line}" for line in outcome.written)]))
    return int(bool(outcome.problems))


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
