"""Look for mistakes in COCO keypoint files and their images, before a training learns them.

Exit code 0: no errors; 1: errors, with which training or evaluation would be wrong; 2: wrong call.
Warnings and information do not change it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import add_max_megapixels
from equikpt.data_tools.verify import METAINFOS


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ann-file",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="COCO keypoint JSON; several, such as training and validation, are examined as one "
        "set, which shows images that are in both",
    )
    parser.add_argument(
        "--img-dir",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="DIR",
        help="folder of the images: one for all files, or one for each (default: images are "
        "not looked at)",
    )
    parser.add_argument(
        "--metainfo",
        choices=METAINFOS,
        help="keypoints to check against (default: those that the file names)",
    )
    parser.add_argument("--json", type=Path, metavar="out.json", help="write everything found")
    parser.add_argument("--csv", type=Path, metavar="out.csv", help="write a line for each finding")
    parser.add_argument(
        "--report", type=Path, metavar="out.html", help="write a page with thumbnails"
    )
    parser.add_argument(
        "--force", "--overwrite", action="store_true", help="replace files that exist"
    )
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.core.files import refuse_existing, write_text
    from equikpt.data_tools.verify.report import summary, to_csv, to_json
    from equikpt.data_tools.verify.run import verify
    from equikpt.report.html.label_page import to_html

    outputs = ((args.json, to_json), (args.csv, to_csv), (args.report, to_html))
    for path, _ in outputs:
        if path is not None:
            refuse_existing(path, args.force)
    result = verify(args.ann_file, args.img_dir, args.metainfo)
    print("\n".join(summary(result)))
    for path, render in outputs:
        if path is not None:
            write_text(path, render(result))
            print(f"written: {path}")
    return int(result.count("error") > 0)


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
