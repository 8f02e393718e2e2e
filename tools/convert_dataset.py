"""Convert labelled pictures of another format to COCO JSON that equikpt trains on."""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.data_tools.convert import FORMATS, SCHEMES, TARGETS


def build_parser() -> argparse.ArgumentParser:
    schemes = "\n".join(f"  {name}: {text}" for name, text in SCHEMES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "The mapping is a YAML file:\n"
            "  keypoints: [poll, nose, l_knee, r_knee]   # the source's points, in file order\n"
            "  mapping: {nose: nose, l_knee: l_knee, r_knee: r_knee}   # source: target\n"
            "  flip_idx: [0, 1, 3, 2]   # only where names do not tell left from right\n"
            "  classes: [horse]   # only where the source has several\n"
            f"or one of these:\n{schemes}\n\n"
            "Output: DIR/annotations/{train,val,test}.json and DIR/images/{train,val,test}/."
        ),
    )
    parser.add_argument("--from", dest="format_name", choices=sorted(FORMATS), required=True)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--mapping", required=True, metavar="FILE|NAME", help="see below")
    parser.add_argument("--to", dest="target_name", choices=TARGETS, default="horse26")
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    parser.add_argument("--force", action="store_true", help="replace splits that exist")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--copy", action="store_true", help="copy the pictures (default)")
    pictures.add_argument("--link", action="store_true", help="hard-link the pictures")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.data_tools.convert.conversion import convert

    lines = convert(
        args.format_name,
        args.input,
        args.output,
        mapping=args.mapping,
        target_name=args.target_name,
        dry_run=args.dry_run,
        force=args.force,
        link=args.link,
    )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    from equikpt.cli import run

    run(main)
