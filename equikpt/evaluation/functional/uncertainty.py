"""Fit radii and probabilities of keypoints to held-out labels.

Letters: N instances, K keypoints. Arrays are (N, K); NaN marks a keypoint without a label.
"""

from __future__ import annotations

import numpy as np

from equikpt.evaluation.functional.conformal import conformal_quantile
from equikpt.evaluation.functional.keypoint_errors import OKS_THRESHOLDS
from equikpt.evaluation.functional.reliability import fit_score_map
from equikpt.structures.uncertainty import DEFAULT_LEVEL, Uncertainty

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

    Of :data:`EXPONENTS` the spread gets the one that makes radii smallest, by their geometric mean:
    the plain mean favours radii that cover too much of what is easy and too little of the rest. A
    keypoint that is labelled in fewer than :data:`MIN_CLUSTERS` clusters takes the factors of all keypoints
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

    def mean_log_radius(exponent: float) -> float:
        expected = spread_px[known] ** exponent
        limit = conformal_quantile(errors_px[known] / expected, groups[known], DEFAULT_LEVEL)
        return float(np.log(limit) + np.log(expected).mean())

    exponent = min(EXPONENTS, key=mean_log_radius)
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
