from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.options import option, required, whole

EPILOG = r"""
Output: DIR/annotations/{train,val,test}.json, of folds those of DIR/fold_N/, and with --link or
--copy DIR/images/{train,val,test}/.

Video or horse from the file name, its first parentheses:
  --group-regex '(Sample\d+)/' of labeled-data/Sample20/0001.png gives Sample20
  --group-regex '^([a-z]+)_\d+' of bella_0012.jpg gives bella
"""


def part(text: str) -> int | str:
    """Read the size of a part: a number of images, or ``rest``."""
    if text == "rest" or text.isdecimal():
        return text if text == "rest" else int(text)
    raise argparse.ArgumentTypeError(f"expected a number of images or 'rest', got '{text}'")


@dataclass(frozen=True, kw_only=True)
class SplitDatasetOptions(declare.ReadsImages):
    """Divide labelled images into train, val and test, or into folds.

    Which image goes where depends on names, labels and seed, not on the order of the file. Images
    of one horse or video in two parts make any score look good: keep them together with
    --group-key, --group-regex or --near-duplicates.
    """

    ann_file: Path = required("COCO keypoint JSON")
    output: Path = required("folder to write", "--output", "--out", metavar="DIR")
    ratios: Sequence[float] | None = option(
        "fractions of train, val and perhaps test (default: 0.8 0.1 0.1)",
        metavar="R",
        at_most_one_of="sizes",
    )
    counts: Sequence[str] | None = option(
        "images of train, val and perhaps test; one may be 'rest'",
        type=part,
        metavar="N",
        at_most_one_of="sizes",
    )
    folds: int | None = option(
        "number of parts for K-fold cross-validation",
        type=whole(2),
        metavar="K",
        at_most_one_of="sizes",
    )
    by: Literal["image", "group"] | None = option(
        "deal single images, or whole groups (default: group where groups are given)"
    )
    group_key: str = option(
        "key of the image records that names the video or horse",
        default="",
        metavar="KEY",
        at_most_one_of="groups",
    )
    group_regex: str = option(
        "searched in the file name for the video or horse; see below",
        default="",
        metavar="REGEX",
        at_most_one_of="groups",
    )
    near_duplicates: bool = option(
        "keep images together that are nearly the same, beside groups; needs --img-dir",
        default=False,
    )
    allow_near_duplicates: bool = option(
        "only warn where such images come into two parts", default=False
    )
    img_dir: Path | None = declare.img_dir()
    stratify: bool = option(
        "balance labelled points by keypoint, fractions of labelled points and sizes", default=False
    )
    seed: int = declare.seed("seed by which images are dealt")
    link: bool = option("hard-link the images", default=False, at_most_one_of="images")
    copy: bool = option(
        "copy the images (default: neither)", default=False, at_most_one_of="images"
    )
    overwrite: bool = declare.overwrite("parts that exist")


def main(argv: list[str] | None = None) -> int:
    """Split, and print what became of it; 0 when done."""
    options = declare.parse(SplitDatasetOptions, argv, EPILOG)
    from equikpt.core.groups import GroupRule
    from equikpt.data_tools.split import Division, SplitOptions, split
    from equikpt_runtime.files import require_writable

    require_writable(options.output)
    grouped = bool(options.group_key or options.group_regex or options.near_duplicates)
    if options.by == "group" and not grouped:
        raise ValueError("--by group needs --group-key, --group-regex or --near-duplicates")
    if options.by == "image" and grouped:
        raise ValueError("--by image does not go with groups of images; leave out one of them")
    sized = options.counts or options.folds is not None
    ratios = options.ratios or (() if sized else (0.8, 0.1, 0.1))
    chosen = SplitOptions(
        division=Division(tuple(ratios), tuple(options.counts or ()), options.folds),
        rule=GroupRule(options.group_key, options.group_regex),
        img_dir=options.img_dir,
        near_duplicates=options.near_duplicates,
        allow_near_duplicates=options.allow_near_duplicates,
        stratify=options.stratify,
        seed=options.seed,
        images="link" if options.link else "copy" if options.copy else "none",
        overwrite=options.overwrite,
    )
    print("\n".join(split(options.ann_file, options.output, chosen)))
    return 0
