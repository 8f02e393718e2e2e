from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.options import option, whole
from equikpt.data_tools.verify import METAINFOS


@dataclass(frozen=True)
class EstimateOptions:
    """Estimate the sigmas of AP from images that were labelled twice, or from a model's errors.

    COCO: sigma² = E[d² / s²], where d is the error of a click and s² the object's area. Two
    annotations (--double) give it as COCO does. A model's residuals (--gt, --predictions) hold
    the model's own errors too and give an upper bound; they are estimated by the median, which
    gross errors such as exchanged legs do not move.
    """

    double: tuple[Path, Path] | None = option(
        "two annotations of the same images", metavar=("A.json", "B.json")
    )
    gt: Path | None = option("labels of the images of --predictions", metavar="ANN.json")
    predictions: Path | None = option(
        "COCO results of a model, as test --out writes them", metavar="RESULTS.json"
    )
    match: Literal["iou", "id"] = option("how instances of --double are paired", default="iou")
    estimator: Literal["mean", "median"] | None = option(
        "mean of the squared distances, COCO's definition, or what follows from their median "
        "(default: mean with --double, median with --predictions)"
    )
    metainfo: str | None = option(
        f"keypoint set of the files: {', '.join(METAINFOS)}, or the file of one (default: by the "
        "names in the file)",
        metavar="SET",
        at_most_one_of="set",
    )
    pool_sides: bool = option("one sigma for left and right, from both", default=False)
    group_key: str = option(
        "key of the image records that names the horse or video",
        default="",
        metavar="KEY",
        at_most_one_of="groups",
    )
    group_regex: str = option(
        "searched in the file name, the group in parentheses; intervals are over groups "
        "(default: over images)",
        default="",
        metavar="REGEX",
        at_most_one_of="groups",
    )
    resamples: int = option("samples of the bootstrap", default=1000, type=whole(1))
    seed: int = declare.seed("seed of the bootstrap")
    write: Path | None = option(
        "keypoint set to put the sigmas into, in place of --metainfo; all else in it stays",
        metavar="DIR/keypoints.py",
        at_most_one_of="set",
    )
    out: Path | None = option("write a keypoint set of its own for configs", metavar="FILE.py")
    overwrite: bool = declare.overwrite("the file of --out")


def main(argv: list[str] | None = None) -> int:
    """Print the sigmas with their intervals; 0 when done."""
    options = declare.parse(EstimateOptions, argv)
    from equikpt.core.groups import GroupRule
    from equikpt.data_tools.sigma_pairs import pairs_of_annotations, pairs_with_predictions
    from equikpt.data_tools.sigmas import estimate_from
    from equikpt_runtime.files import refuse_existing

    if options.out:
        refuse_existing(options.out, options.overwrite)
    if options.double and not options.gt and not options.predictions:
        labels, again = options.double
        pairs = pairs_of_annotations(labels, again, by_id=options.match == "id")
        made_by = f"two annotations, {labels.name} and {again.name}"
    elif options.gt and options.predictions and not options.double:
        labels = options.gt
        pairs = pairs_with_predictions(labels, options.predictions)
        made_by = f"the residuals of a model, {options.predictions.name}"
    else:
        raise ValueError("expected --double A.json B.json, or --gt with --predictions")
    lines = estimate_from(
        pairs,
        labels,
        made_by,
        estimator=options.estimator or ("mean" if options.double else "median"),
        metainfo=options.metainfo,
        rule=GroupRule(options.group_key, options.group_regex),
        pooled=options.pool_sides,
        resamples=options.resamples,
        seed=options.seed,
        out=options.out,
        overwrite=options.overwrite,
        own_set=options.write,
    )
    if not options.write and not options.out:
        lines.append("next: --write DIR/keypoints.py puts them into a project's keypoint set")
    print("\n".join(lines))
    return 0
