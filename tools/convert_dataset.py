"""Convert labelled pictures to COCO JSON that equikpt trains on, and labels or predictions back."""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import add_max_megapixels, number
from equikpt.data_tools.convert import FORMATS, SCHEMES, TARGETS, format_table, writable


def build_parser() -> argparse.ArgumentParser:
    schemes = "\n".join(f"  {name}: {text}" for name, text in SCHEMES.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "Keypoints whose names are the target's, or those of AP-10K, AnimalPose or Horse-10, "
            "need no mapping.\nThe mapping is a YAML file:\n"
            "  mapping: {nose: nose, l_knee: l_knee, r_knee: r_knee}   # source: target\n"
            "  keypoints: [poll, nose, l_knee, r_knee]   # in file order, where it has no names\n"
            "  flip_idx: [0, 1, 3, 2]   # where neither names nor targets tell the sides\n"
            "  classes: [horse]   # only where the source has several\n"
            f"or one of these:\n{schemes}\n\n"
            "Output of --to horse26, p1p2, coco17 and coco (the source's own keypoints):\n"
            "DIR/annotations/{train,val,test}.json and DIR/images/{train,val,test}/.\n\n"
            f"What each format keeps:\n{format_table()}"
        ),
    )
    parser.add_argument("--from", dest="format_name", choices=sorted(FORMATS), required=True)
    parser.add_argument("--input", type=Path, required=True, metavar="PATH", help="file or folder")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--to", dest="target_name", choices=(*TARGETS, *writable()), default="horse26"
    )
    parser.add_argument("--mapping", metavar="FILE|NAME", help="see below")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--split", help="split of a source with one or none")
    parser.add_argument(
        "--classes", nargs="+", action="extend", default=[], metavar="NAME", help="animals to take"
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE.json",
        help="COCO results, as test.py --out writes them, instead of the labels of a COCO file",
    )
    parser.add_argument(
        "--score", type=number(0, 1), help="least score of a predicted keypoint (default: 0.3)"
    )
    parser.add_argument(
        "--image-prefix",
        metavar="TEXT",
        help="what Label Studio puts before a picture's name (default: /data/local-files/?d=)",
    )
    parser.add_argument("--dry-run", action="store_true", help="report, write nothing")
    parser.add_argument("--force", action="store_true", help="replace what exists")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--copy", action="store_true", help="copy the pictures (default)")
    pictures.add_argument("--link", action="store_true", help="hard-link the pictures")
    pictures.add_argument("--labels-only", action="store_true", help="write no pictures")
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.core.files import require_writable
    from equikpt.data_tools.convert.conversion import convert
    from equikpt.data_tools.convert.exporting import export
    from equikpt.data_tools.convert.reading import Reading
    from equikpt.data_tools.convert.writer import Options

    if not args.dry_run:
        require_writable(args.output)
    reading = Reading(args.images, args.split, tuple(args.classes), args.predictions, args.score)
    common = {"mapping": args.mapping, "reading": reading}
    common |= {"dry_run": args.dry_run, "force": args.force}
    if args.target_name in TARGETS:
        if args.image_prefix is not None:
            raise ValueError(f"--image-prefix does not go with {args.target_name}, COCO JSON")
        lines = convert(
            args.format_name,
            args.input,
            args.output,
            target_name=args.target_name,
            link=args.link,
            labels_only=args.labels_only,
            **common,
        )
    else:
        if args.labels_only:
            raise ValueError(f"--labels-only is for COCO JSON, not {args.target_name}")
        options = Options(link=args.link, image_prefix=args.image_prefix)
        lines = export(
            args.format_name, args.input, args.output, args.target_name, options=options, **common
        )
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
