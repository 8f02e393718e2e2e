"""Score of a sequence of points: all things found, once each, and an end at the right time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.core.groups import GroupRule
from equikpt.evaluation.fitting import FittingMetric, source_of
from equikpt.evaluation.functional.bootstrap import cluster_numbers
from equikpt.evaluation.functional.conformal import halves
from equikpt.evaluation.functional.point_matching import duplicates, everything_found, match
from equikpt.evaluation.functional.uncertainty import fit_count_uncertainty
from equikpt.evaluation.presentation import Example, Figure
from equikpt.structures.uncertainty import DEFAULT_LEVEL, CountUncertainty


@METRICS.register_module()
class CountingMetric(FittingMetric[CountUncertainty]):
    """Points found, count, duplicates, and when the sequence said done, of free-running sequences.

    Metrics, each under ``pointing/``: ``precision``, ``recall`` and ``F1`` of all points of the
    test set, matched within ``radius_px`` (:mod:`equikpt.evaluation.functional.point_matching`);
    ``count_MAE`` and ``count_RMSE``; ``count_coverage``, the fraction of images whose number lies
    in its interval, and ``count_width``, the mean of most minus fewest; ``error_px`` and
    ``error_px_median``, of the distances of matched points, in px of the input; ``duplicates``, the
    fraction of predicted points on a thing that another has marked; ``done_recall`` and
    ``done_precision`` over the steps of all sequences: a step should say done where the points
    before it match all true ones; ``not_done_recall``, the fraction of the other steps that went
    on. With ``mean_count``, ``count_MAE_of_mean`` is the control that always answers it.

    Intervals are :class:`equikpt.structures.CountUncertainty`'s. Where the checkpoint has none, or
    was fitted to these very images, they are fitted here by halves: to every other group of
    images, and held against the rest, both ways.

    Args:
        radius_px: In px of the model's input.
        done_threshold: Probability of being over from which a step says done, as the head's.
        mean_count: Mean number of points an image in training.
        level: Probability of the intervals that are judged.
        group_regex: Regular expression, searched in the image's path, whose first parentheses hold
            the group, such as a video, that is held out as a whole; empty for single images.
        **kwargs: As :class:`Presented`.

    Raises:
        ValueError: A radius that is not above 0, or an expression that is none.
    """

    default_prefix = "pointing"
    primary = "F1"
    figures = {
        "F1": Figure("harmonic mean of both", "F1", "of points", 3),
        "count_MAE": Figure("mean error of the count", "Error of the count", "mean", 2),
        "precision": Figure(
            "fraction of points that were matched with a thing, within a radius", "Precision",
            "of points", 3,
        ),
        "recall": Figure("fraction of things that were matched", "Recall", "of points", 3),
        "count_RMSE": Figure("root mean square error of the count"),
        "count_coverage": Figure("fraction of images whose count lies in its interval", digits=3),
        "count_width": Figure("most minus fewest things of an interval, mean", digits=2),
        "error_px": Figure("mean distance of matched points, px of the input"),
        "error_px_median": Figure("median of it"),
        "duplicates": Figure("fraction of points on a thing that another has marked"),
        "done_precision": Figure("fraction of the steps that said done at which all was found"),
        "done_recall": Figure("fraction of the steps at which all was found that said done"),
        "not_done_recall": Figure("fraction of the other steps that went on"),
        "images": Figure("images", digits=0),
    }  # fmt: skip
    shown_columns = {
        "image": Column("Image", numbers=False),
        "true": Column("Things"),
        "predicted": Column("Points"),
        "matched": Column("Matched"),
        "duplicates": Column("Duplicates"),
    }
    worst_by = "duplicates"

    def __init__(
        self,
        radius_px: float = 20.0,
        done_threshold: float = 0.5,
        mean_count: float | None = None,
        level: float = DEFAULT_LEVEL,
        group_regex: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(GroupRule(regex=group_regex), **kwargs)
        if not radius_px > 0:
            raise ValueError(f"expected radius_px above 0, got {radius_px}")
        self.radius_px = radius_px
        self.done_threshold = done_threshold
        self.mean_count = mean_count
        self.level = level

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Compare each image's points with the true ones."""
        for sample in data_samples:
            gt = np.asarray(sample["raw_ann_info"]["keypoints"], float).reshape(-1, 3)
            found = sample["pred_instances"]
            input_px_per_px = float(sample["input_size"][0] / sample["input_scale"][0])
            row = compare(
                gt[gt[:, 2] > 0, :2] * input_px_per_px,
                np.asarray(found["keypoints"], float)[0, :, :2] * input_px_per_px,
                np.asarray(found["done_probability"], float)[0] >= self.done_threshold,
                self.radius_px,
            )
            path = sample["img_path"]
            name = Path(path).as_posix()
            over, group = found.get("over_probability"), ""
            if over is not None:
                over, group = np.asarray(over, float)[0], self.rule.group(name, {})
            kept = dict(over=over, group=group, labels=(name, gt.tobytes()))
            self.results.append(dict(image=Path(path).name, **row, path=path, **kept))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Sum up over all images."""
        table = pd.DataFrame(results).drop(columns=["distances_px", "over", "group", "labels"])
        metrics = summarise(table)
        distances = np.concatenate([result["distances_px"] for result in results])
        metrics["error_px_median"] = float(np.median(distances)) if len(distances) else 0.0
        if (intervals := self._intervals(results)) is not None:
            low, high = intervals.T
            held = (low <= table["true"]) & (table["true"] <= high)
            metrics["count_coverage"] = float(held.mean())
            metrics["count_width"] = float((high - low).mean())
            table = table.assign(low=low, high=high)
        if self.mean_count is not None:
            away = (table["true"] - self.mean_count).abs()
            metrics["count_MAE_of_mean"] = float(away.mean())
        width = max(map(len, metrics))
        lines = [f"{name:<{width}}  {value:8.3f}" for name, value in metrics.items()]
        self.publish(table, "\n".join(["pointing", *lines]))
        return metrics

    def _intervals(self, results: list[dict]) -> np.ndarray | None:
        """Fit to all images, and find an interval of each, (N, 2); None if one has none."""
        self.fitted = None
        if any(each["over"] is None for each in results):
            return None
        over, counts = [each["over"] for each in results], [each["true"] for each in results]
        clusters = cluster_numbers([each["group"] for each in results])
        source = source_of(f"{len(results)} images", [each["labels"] for each in results])
        self.fitted = fit_count_uncertainty(over, counts, clusters, source)
        fits = [self.record] * len(results)
        if self.record is None or self.record.source == source:
            if clusters.max() == 0:  # one group has no halves
                return None
            for half in halves(clusters):
                others = np.flatnonzero(~half)
                fit = fit_count_uncertainty(
                    [over[each] for each in others],
                    [counts[each] for each in others],
                    clusters[others],
                )
                for each in np.flatnonzero(half):
                    fits[each] = fit
        found = [
            fit and fit.interval(each, self.level) for fit, each in zip(fits, over, strict=True)
        ]
        return None if None in found else np.array(found)

    @classmethod
    def ranked(cls, table: pd.DataFrame) -> list[Example]:
        """List the images by F1, best first; of equal ones those with more things are harder."""
        f1 = 2 * table["matched"] / (table["true"] + table["predicted"]).clip(lower=1)
        numbered = table.assign(f1=-f1, number=range(len(table)))
        return [
            Example(f"things {row.true}, points {row.predicted}, matched {row.matched}", row.number)
            for row in numbered.sort_values(["f1", "true"], kind="stable").itertuples()
        ]


def compare(
    gt: np.ndarray, predicted: np.ndarray, said_done: np.ndarray, radius: float
) -> dict[str, float | np.ndarray]:
    """Compare one sequence (M, 2) with the ground truth (N, 2): counts, and matched distances.

    ``said_done`` (M + 1,) is of the step before each point, and of the one that ended it.
    """
    belongs = match(gt, predicted, radius)
    matched = belongs >= 0
    distances_px = np.linalg.norm(predicted[matched] - gt[belongs[matched]], axis=1)
    is_done = everything_found(gt, predicted, radius)[: len(said_done)]
    return dict(
        true=len(gt),
        predicted=len(predicted),
        matched=int(matched.sum()),
        distance_px=float(distances_px.sum()),
        distances_px=distances_px,
        duplicates=int(duplicates(gt, predicted, belongs, radius).sum()),
        done_steps=int(is_done.sum()),
        done_said=int(said_done.sum()),
        done_right=int((is_done & said_done).sum()),
        not_done_steps=int((~is_done).sum()),
        not_done_right=int((~is_done & ~said_done).sum()),
    )


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """The metrics of :class:`CountingMetric` from its table; 0 where nothing is to be divided."""
    total = table.drop(columns=["image", "path"]).sum()
    away = table["predicted"] - table["true"]

    def fraction(part: str, whole: str) -> float:
        return float(total[part] / total[whole]) if total[whole] else 0.0

    precision, recall = fraction("matched", "predicted"), fraction("matched", "true")
    both = precision + recall
    return {
        "images": float(len(table)),
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / both if both else 0.0,
        "count_MAE": float(away.abs().mean()),
        "count_RMSE": float(np.sqrt((away**2).mean())),
        "error_px": fraction("distance_px", "matched"),
        "duplicates": fraction("duplicates", "predicted"),
        "done_precision": fraction("done_right", "done_said"),
        "done_recall": fraction("done_right", "done_steps"),
        "not_done_recall": fraction("not_done_right", "not_done_steps"),
    }
