"""From squared distances to sigmas, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from equikpt.evaluation.functional.bootstrap import (
    RESAMPLES,
    bootstrap,
    percentile_interval,
    weighted_mean,
    weighted_median,
)


def _variance_of_median(squared: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # Normal errors, alike in x and y, make d² / s² exponential, whose median is σ² ln 2.
    return weighted_median(squared, weights) / np.log(2)


ESTIMATORS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean": weighted_mean,
    "median": _variance_of_median,
}
"""``mean`` is COCO's definition. ``median`` is the same for normal errors and does not see gross
ones, such as exchanged legs, up to nearly half of all."""


@dataclass(frozen=True)
class SigmaEstimate:
    """Sigmas of K keypoints with their intervals.

    Args:
        sigma: (K,) NaN where nothing was measured.
        low: (K,) lower end of the 95 % interval; NaN where there is one cluster only.
        high: (K,) upper end.
        count: (K,) distances that went in.
    """

    sigma: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def estimate_sigmas(
    squared: np.ndarray,
    clusters: np.ndarray,
    estimator: str = "mean",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SigmaEstimate:
    """Sigma of each keypoint.

    Args:
        squared: (M, K) d² / s² of one annotation from the ground truth, NaN where not labelled.
        clusters: (M,) from 0 on: images, horses or videos, which are drawn as a whole.
        estimator: One of :data:`ESTIMATORS`.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.

    Raises:
        ValueError: The estimator is unknown.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"no estimator '{estimator}'; expected one of {', '.join(ESTIMATORS)}")
    count = np.isfinite(squared).sum(axis=0)
    variance = ESTIMATORS[estimator]
    sigma = np.sqrt(variance(squared, np.ones((1, len(squared)), int))[0])
    low, high = percentile_interval(
        np.sqrt(bootstrap(lambda weights: variance(squared, weights), clusters, resamples, seed))
    )
    # From one cluster, however large, nothing is known of how clusters differ.
    few = np.array([len(set(clusters[np.isfinite(column)])) < 2 for column in squared.T])
    return SigmaEstimate(sigma, np.where(few, np.nan, low), np.where(few, np.nan, high), count)


def pool_sides(squared: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """(2M, K) distances to which each keypoint's other side has been added.

    Args:
        squared: (M, K).
        swap: (K,) index of the same point on the other side, its own for a point of the midline,
            which gets nothing added.
    """
    other = np.where(swap == np.arange(len(swap)), np.nan, squared[:, swap])
    return np.concatenate([squared, other])
