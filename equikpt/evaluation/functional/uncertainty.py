"""Fit radii and probabilities of keypoints, and intervals of counts, to held-out labels.

Letters: N instances, K keypoints. Arrays are (N, K); NaN marks a keypoint without a label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equikpt.evaluation.functional.conformal import conformal_quantile
from equikpt.evaluation.functional.keypoint_errors import OKS_THRESHOLDS
from equikpt.evaluation.functional.reliability import fit_score_map
from equikpt.structures.uncertainty import (
    DEFAULT_LEVEL,
    MOST_OVER,
    CountUncertainty,
    Uncertainty,
)

EXPONENTS = (1.0, 0.0, 0.5, 1.5, 2.0, 2.5, 3.0, 3.5)
"""Powers of the spread to choose from; without enough labels to choose, the first."""
LEVELS = np.round(np.arange(0.5, 0.991, 0.01), 2)
TOLERANCE = float(OKS_THRESHOLDS[0])
"""OKS of a keypoint alone from which it counts as right."""
MIN_CLUSTERS = 100
"""Labelled clusters from which a keypoint has factors of its own: with fewer, chance says more."""


def fit_uncertainty(
    errors_px: np.ndarray,
    spread_px: np.ndarray,
    scores: np.ndarray,
    similarity: np.ndarray,
    clusters: np.ndarray,
    source: str = "",
) -> Uncertainty:
    """Fit the conformal factors of each keypoint, and the probability of a score.

    Of :data:`EXPONENTS` the spread gets the one that makes radii smallest on average. A keypoint
    that is labelled in fewer than :data:`MIN_CLUSTERS` clusters takes the factors of all keypoints
    together.

    Args:
        errors_px: Distances from the labels, px of the input.
        spread_px: Spread of the output around each point, likewise.
        scores: Of the model.
        similarity: OKS of each keypoint on its own.
        clusters: (N,) number or name of each instance's image, animal or video.
        source: The labels, in words.

    Raises:
        ValueError: No keypoint is labelled.
    """
    known = np.isfinite(errors_px)
    if not known.any():
        raise ValueError("expected labelled keypoints to fit to, got none; give held-out labels")
    groups = np.broadcast_to(np.asarray(clusters)[:, None], known.shape)

    def mean_radius(exponent: float) -> float:
        expected = spread_px[known] ** exponent
        limit = conformal_quantile(errors_px[known] / expected, groups[known], DEFAULT_LEVEL)
        return float(limit * expected.mean())

    exponent = min(EXPONENTS, key=mean_radius)
    ratios = errors_px / spread_px**exponent
    pooled = conformal_quantile(ratios[known], groups[known], LEVELS)
    factors = np.array(
        [
            conformal_quantile(ratios[rows, index], groups[rows, index], LEVELS)
            if len(np.unique(groups[rows, index])) >= MIN_CLUSTERS
            else pooled
            for index, rows in enumerate(known.T)
        ]
    )
    mapped = fit_score_map(scores[known], similarity[known] >= TOLERANCE)
    return Uncertainty(LEVELS, factors, exponent, mapped.scores, mapped.probabilities, source)


def fit_count_uncertainty(
    over: Sequence[np.ndarray], counts: Sequence[int], clusters: np.ndarray, source: str = ""
) -> CountUncertainty:
    """Fit the conformal tails of intervals of the count: conformalized quantiles.

    A number that the distribution of its image has in the middle conforms, one in a tail does not.

    Args:
        over: For each of N images (M + 1,), the probability that there are at most 0, 1, … M
            things.
        counts: N true numbers.
        clusters: (N,) number or name of each image's video.
        source: The images, in words.

    Source: Romano, Patterson and Candès, 2019, https://arxiv.org/abs/1905.03222.
    """
    strange = 1 - np.array([count_tail(*each) for each in zip(over, counts, strict=True)])
    limits = conformal_quantile(strange, clusters, LEVELS)
    tails = np.clip(1 - limits - 1e-9, 0, 0.5)  # a hair less, so that one just as strange is held
    return CountUncertainty(LEVELS, tails, source)


def count_tail(over: np.ndarray, count: int) -> float:
    """Largest tail of the intervals that hold a count, 0 to 1, from ``over`` (M + 1,).

    Below ``1 − MOST_OVER`` it is 0: how far the sequence went on then depends on other images.

    >>> count_tail(np.array([0.1, 0.4, 0.8, 1.0]), 2)  # at most 2: 0.8; at least 2: 0.6
    0.6
    """
    if count >= len(over):
        return 0.0
    tail = min(float(over[count]), 1 - float(over[count - 1]) if count else 1.0)
    return tail if tail > 1 - MOST_OVER else 0.0
