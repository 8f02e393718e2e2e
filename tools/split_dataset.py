"""Divide labelled pictures into train, val and test, or into folds.

Which picture goes where depends on names, labels and seed, not on the order of the file. Pictures
of one horse or video in two parts make any score look good: keep them together with --group-key,
--group-regex or --near-duplicates.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import MAX_SEED, add_max_megapixels, whole


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "Output: DIR/annotations/{train,val,test}.json, of folds those of DIR/fold_N/, and "
            "with --link or\n--copy DIR/images/{train,val,test}/.\n\n"
            "Video or horse from the file name, its first parentheses:\n"
            r"  --group-regex '(Sample\d+)/' of labeled-data/Sample20/0001.png gives Sample20"
            "\n"
            r"  --group-regex '^([a-z]+)_\d+' of bella_0012.jpg gives bella"
        ),
    )
    parser.add_argument(
        "--ann-file", type=Path, required=True, metavar="FILE", help="COCO keypoint JSON"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--ratios",
        type=float,
        nargs="+",
        action="extend",
        metavar="R",
        help="of train, val and perhaps test (default: 0.8 0.1 0.1)",
    )
    sizes.add_argument(
        "--counts",
        type=_count,
        nargs="+",
        action="extend",
        metavar="N",
        help="pictures of train, val and perhaps test; one may be 'rest'",
    )
    sizes.add_argument("--folds", type=whole(2), metavar="K", help="for K-fold cross-validation")
    parser.add_argument(
        "--by",
        choices=("picture", "group"),
        help="what is dealt (default: group where groups are given)",
    )
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument("--group-key", default="", metavar="KEY", help="of the image records")
    groups.add_argument(
        "--group-regex", default="", metavar="REGEX", help="searched in the file name; see below"
    )
    parser.add_argument(
        "--near-duplicates",
        action="store_true",
        help="keep pictures together that are nearly the same, beside groups; needs --img-dir",
    )
    parser.add_argument(
        "--allow-near-duplicates",
        action="store_true",
        help="only warn where such pictures come into two parts",
    )
    parser.add_argument("--img-dir", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument(
        "--stratify",
        action="store_true",
        help="balance labelled points by keypoint, shares of labelled points and sizes",
    )
    parser.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="default: %(default)s")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--link", action="store_true", help="hard-link the pictures")
    pictures.add_argument("--copy", action="store_true", help="copy them (default: neither)")
    parser.add_argument("--force", action="store_true", help="replace parts that exist")
    add_max_megapixels(parser)
    return parser


def _count(text: str) -> int | str:
    if text == "rest" or text.isdecimal():
        return text if text == "rest" else int(text)
    raise argparse.ArgumentTypeError(f"expected a number of pictures or 'rest', got '{text}'")


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.core.files import require_writable
    from equikpt.core.groups import GroupRule
    from equikpt.data_tools.split.division import Division
    from equikpt.data_tools.split.run import SplitOptions, split

    require_writable(args.output)
    grouped = bool(args.group_key or args.group_regex or args.near_duplicates)
    if args.by == "group" and not grouped:
        raise ValueError("--by group needs --group-key, --group-regex or --near-duplicates")
    if args.by == "picture" and grouped:
        raise ValueError("--by picture does not go with groups of pictures; leave out one of them")
    ratios = args.ratios or (() if args.counts or args.folds is not None else (0.8, 0.1, 0.1))
    options = SplitOptions(
        division=Division(tuple(ratios), tuple(args.counts or ()), args.folds),
        rule=GroupRule(args.group_key, args.group_regex),
        img_dir=args.img_dir,
        near_duplicates=args.near_duplicates,
        allow_near_duplicates=args.allow_near_duplicates,
        stratify=args.stratify,
        seed=args.seed,
        pictures="link" if args.link else "copy" if args.copy else "none",
        force=args.force,
    )
    print("\n".join(split(args.ann_file, args.output, options)))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
