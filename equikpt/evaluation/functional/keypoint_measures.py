"""Measures of every keypoint over any part of a test set, with bootstrap intervals.

Letters: N instances, K keypoints, B samples of the instances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from equikpt.evaluation.functional.bootstrap import (
    bootstrap,
    percentile_interval,
    weighted_mean,
    weighted_median,
)
from equikpt.evaluation.functional.keypoint_errors import (
    box_side_px,
    distances_px,
    left_right_inversions,
    pck_hits,
    weighted_keypoint_ap,
)
from equikpt_runtime.boxes import oks

EVERY_KEYPOINT = "all"
"""Name of the row over all keypoints: the mean of their AP, and over all their points the rest."""


@dataclass(frozen=True)
class PosePredictions:
    """Predictions and ground truth of N instances.

    Args:
        predicted: (N, K, 2) px of the original image; NaN where the model gives no such point.
        scores: (N, K)
        gt: (N, K, 2) px.
        visibility: (N, K) COCO visibility; 0 is unlabelled.
        boxes: (N, 4) annotated boxes: x, y, width, height in px.
        areas: (N,) px².
    """

    predicted: np.ndarray
    scores: np.ndarray
    gt: np.ndarray
    visibility: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray

    def instances(self, chosen: np.ndarray) -> PosePredictions:
        """Some of the instances, by a (N,) mask."""
        return PosePredictions(*(values[chosen] for values in vars(self).values()))


class KeypointMetrics:
    """AP, PCK, errors and exchanged sides of every keypoint, and of all together.

    ``AP`` is COCO's of one keypoint at a time; ``PCK@t`` the fraction of points within ``t`` of the
    box's longer side; ``error_px`` and ``median_error_px`` are px of the original image; ``error``
    is the mean as a fraction of the box's longer side; ``swapped`` the fraction of points that
    :func:`left_right_inversions` finds. Labelled points without a prediction are left out.

    Args:
        pose: N instances.
        thresholds: Fractions of the box's longer side.
        names: K names.
        sigmas: (K,) of COCO's similarity.
        swap: (K,) index of the other side's keypoint, its own for a point of the midline.
        visibility: Measure the points of this visibility only; None measures all labelled ones.
    """

    def __init__(
        self,
        pose: PosePredictions,
        thresholds: Sequence[float],
        names: Sequence[str],
        sigmas: np.ndarray,
        swap: Sequence[int],
        visibility: int | None = None,
    ) -> None:
        labelled = pose.visibility > 0 if visibility is None else pose.visibility == visibility
        side_px = box_side_px(pose.boxes)
        swapped = left_right_inversions(pose.predicted, pose.gt, pose.visibility, side_px, swap)
        self._keypoints = names
        self._labelled = labelled
        self._scores = pose.scores
        self._distance_px = distances_px(pose.predicted, pose.gt, labelled)
        self._similarity = oks(self._distance_px, pose.areas, sigmas)
        hits = {f"PCK@{t:g}": pck_hits(self._distance_px, side_px, t) for t in thresholds}
        fraction = self._distance_px / side_px[:, None]
        self._means = {**hits, "error": fraction, "error_px": self._distance_px}
        self._swapped = np.where(labelled, swapped, np.nan)
        self.names = ("AP", *self._means, "median_error_px", "swapped")

    def compute(self, weights: np.ndarray) -> np.ndarray:
        """(B, measures, K + 1) values by weights (B, N); the last is over all keypoints."""
        ap = weighted_keypoint_ap(self._similarity, self._scores, weights)
        there = np.isfinite(ap).sum(axis=1)
        mean_ap = np.where(there > 0, np.nansum(ap, axis=1) / np.maximum(there, 1), np.nan)
        return np.stack(
            [
                np.column_stack([ap, mean_ap]),
                *(_with_all(weighted_mean, values, weights) for values in self._means.values()),
                _with_all(weighted_median, self._distance_px, weights),
                _with_all(weighted_mean, self._swapped, weights),
            ],
            axis=1,
        )

    def table(
        self, clusters: np.ndarray | None = None, resamples: int = 0, seed: int = 0
    ) -> pd.DataFrame:
        """A row a keypoint and one over all: how often labelled, the measures, and their intervals.

        Args:
            clusters: (N,) from 0 on, drawn as a whole.
            resamples: Bootstrap samples; 0 leaves the columns ``…_low`` and ``…_high`` out.
            seed: Of the bootstrap.
        """
        values = self.compute(np.ones((1, len(self._labelled)), int))[0]
        labelled = self._labelled.sum(axis=0)
        columns: dict[str, object] = {
            "keypoint": [*self._keypoints, EVERY_KEYPOINT],
            "labelled": [*labelled, np.isfinite(self._distance_px).sum()],
        }
        columns |= dict(zip(self.names, values, strict=True))
        if resamples and clusters is not None:
            if len(set(clusters.tolist())) > 1:
                drawn = bootstrap(self.compute, clusters, resamples, seed)
                low, high = percentile_interval(drawn)
            else:  # of one cluster it is not known how clusters differ
                low = high = np.full_like(values, np.nan)
            for index, name in enumerate(self.names):
                columns |= {f"{name}_low": low[index], f"{name}_high": high[index]}
        return pd.DataFrame(columns)


def _with_all(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    values: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """(B, K + 1) a statistic of each of (N, K) columns, and of all values together."""
    together = statistic(values.reshape(-1, 1), np.repeat(weights, values.shape[1], axis=1))
    return np.concatenate([statistic(values, weights), together], axis=1)


def without_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the columns ``…_low`` and ``…_high``."""
    return table[[name for name in map(str, table) if not name.endswith(("_low", "_high"))]]


def with_untrained_marked(table: pd.DataFrame) -> pd.DataFrame:
    """Have the names say which keypoints are not trained, in place of the column ``trained``."""
    if "trained" not in table:
        return table
    names = table["keypoint"].where(table["trained"], table["keypoint"] + " (not trained)")
    return table.drop(columns="trained").assign(keypoint=names)


def format_table(table: pd.DataFrame) -> str:
    """Format a table of :meth:`KeypointMetrics.table` for a terminal, intervals in brackets."""
    shown = with_untrained_marked(without_intervals(table)).copy()
    for name in shown:
        if f"{name}_low" in table:
            rows = table[[name, f"{name}_low", f"{name}_high"]].itertuples(index=False)
            shown[name] = [
                "-" if np.isnan(value)
                else f"{value:.3f}" if np.isnan(low)
                else f"{value:.3f} [{low:.3f}, {high:.3f}]"
                for value, low, high in rows
            ]  # fmt: skip
    return shown.to_string(index=False, float_format="%.3f", na_rep="-")
