"""Look for mistakes in the labels of ruler marks: a summary, a CSV and a sheet of the worst.

Exit code 0: nothing found; 1: somebody should look; 2: wrong input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import SMALLEST, add_max_megapixels, number


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="Label Studio's JSON export or a COCO JSON; several, such as training and validation, "
        "are examined as one set, which shows films that are in both",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where suspects.csv and suspects.jpg go (default: work_dirs/quality_FILE)",
    )
    parser.add_argument(
        "--largest-z",
        type=number(SMALLEST),
        default=5.0,
        help="robust z of distance and angle from which a film is suspect (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.core.files import refuse_existing
    from equikpt.data_tools.verify.ruler import examine, read_labels
    from equikpt.data_tools.verify.ruler_report import summary, write_report

    folder = args.out or Path("work_dirs") / f"quality_{args.files[0].stem}"
    refuse_existing(folder / "suspects.csv", args.overwrite)
    tasks = [task for file in args.files for task in read_labels(file)]
    radiographs = examine(tasks, args.images, args.largest_z)
    print("\n".join(summary(radiographs)))
    suspects = [each for each in radiographs if each.issues]
    for path in write_report(suspects, folder):
        print(f"written: {path}")
    return int(bool(suspects))


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
