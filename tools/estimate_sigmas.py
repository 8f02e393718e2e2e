"""Estimate the sigmas of AP from pictures that were labelled twice, or from a model's errors.

COCO: sigma² = E[d² / s²], where d is the error of a click and s² the object's area. Two annotations
(--double) give it as COCO does. A model's residuals (--truth, --predictions) hold the model's own
errors too and give an upper bound; they are estimated by the median, which gross errors such as
exchanged legs do not move.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import MAX_SEED, whole
from equikpt.data_tools.verify import METAINFOS


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--double", type=Path, nargs=2, metavar=("A.json", "B.json"), help="the same pictures twice"
    )
    parser.add_argument("--truth", type=Path, metavar="ANN.json", help="COCO keypoint JSON")
    parser.add_argument(
        "--predictions", type=Path, metavar="RESULTS.json", help="written by test.py --out"
    )
    parser.add_argument(
        "--match",
        choices=("iou", "id"),
        default="iou",
        help="how instances of --double are paired (default: %(default)s)",
    )
    parser.add_argument(
        "--estimator",
        choices=("mean", "median"),
        help="default: mean, COCO's definition, with --double, median with --predictions",
    )
    parser.add_argument(
        "--metainfo", choices=METAINFOS, help="keypoints (default: by the names in the file)"
    )
    parser.add_argument(
        "--pool-sides", action="store_true", help="one sigma for left and right, from both"
    )
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument(
        "--group-key", default="", metavar="KEY", help="of the image records: horse or video"
    )
    groups.add_argument(
        "--group-regex",
        default="",
        metavar="REGEX",
        help="searched in the file name, the group in parentheses; intervals are over groups "
        "(default: over pictures)",
    )
    parser.add_argument("--resamples", type=whole(1), default=1000, help="default: %(default)s")
    parser.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FILE.py", help="write a metainfo for configs")
    parser.add_argument("--force", action="store_true", help="replace that file")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    given = (bool(args.double), bool(args.truth), bool(args.predictions))
    if given not in ((True, False, False), (False, True, True)):
        parser.error("expected --double A.json B.json, or --truth with --predictions")
    from equikpt.core.groups import GroupRule
    from equikpt.data_tools.sigmas.pairs import pairs_of_annotations, pairs_with_predictions
    from equikpt.data_tools.sigmas.run import SigmaOptions, estimate_from

    options = SigmaOptions(
        estimator=args.estimator or ("mean" if args.double else "median"),
        metainfo=args.metainfo,
        rule=GroupRule(args.group_key, args.group_regex),
        pooled=args.pool_sides,
        resamples=args.resamples,
        seed=args.seed,
        out=args.out,
        force=args.force,
    )
    if args.double:
        labels, again = args.double
        pairs = pairs_of_annotations(labels, again, by_id=args.match == "id")
        made_by = f"Sigmas from two annotations, {labels.name} and {again.name}."
    else:
        labels = args.truth
        pairs = pairs_with_predictions(labels, args.predictions)
        made_by = f"Sigmas from the residuals of a model, {args.predictions.name}."
    lines = estimate_from(pairs, labels, made_by, options)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
