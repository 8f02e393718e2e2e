"""Reliability diagram of keypoint scores, and the expected calibration error.

A point is right within ``RIGHT_WITHIN`` of its box's longer side. A calibrated model that gives
points a score of 0.8 has 80 % of them right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RIGHT_WITHIN = 0.1
"""Distance up to which a point is right, as a fraction of the box's longer side."""
BINS = 10
Z_95 = 1.959964
"""Standard deviations within which 95 % of a normal distribution lie."""


@dataclass(frozen=True)
class Reliability:
    """Points by score, in B bins of equal width over 0 to 1; NaN where a bin is empty.

    Args:
        edges: (B + 1,)
        counts: (B,) points.
        confidence: (B,) their mean score.
        accuracy: (B,) the share of them that is right.
        outside: Points with a score below 0 or above 1, which count as 0 and 1.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    outside: int

    @property
    def expected_calibration_error(self) -> float:
        """Mean over points of the difference, 0 to 1, of their bin's accuracy and confidence.

        Source: Naeini, Cooper and Hauskrecht, 2015, Obtaining Well Calibrated Probabilities Using
        Bayesian Binning; with equal bins as in Guo et al., 2017, On Calibration of Modern Neural
        Networks, eq. 3. It is biased upwards where bins hold few points.
        """
        there = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[there]
        return float(np.average(gaps, weights=self.counts[there])) if there.any() else float("nan")

    @property
    def overconfidence(self) -> float:
        """Mean score minus the share that is right: above 0 the model promises too much."""
        there = self.counts > 0
        gaps = (self.confidence - self.accuracy)[there]
        return float(np.average(gaps, weights=self.counts[there])) if there.any() else float("nan")

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Give (B,) ends of Wilson's 95 % interval of ``accuracy``, NaN where empty.

        It takes points for independent, which those of one image are not quite.

        Source: Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.
        """
        count = np.where(self.counts > 0, self.counts, np.nan)
        centre = self.accuracy + Z_95**2 / (2 * count)
        spread = Z_95 * np.sqrt(
            self.accuracy * (1 - self.accuracy) / count + Z_95**2 / (4 * count**2)
        )
        scale = 1 + Z_95**2 / count
        return (centre - spread) / scale, (centre + spread) / scale


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort points into bins by score; a score on an edge belongs to the upper bin, 1 to the last.

    Args:
        scores: Any shape.
        right: The same shape: 1 or 0, NaN for points that are not labelled, which are left out.
        bins: B.
    """
    known = np.isfinite(right)
    raw, hits = np.asarray(scores, float)[known], np.asarray(right, float)[known]
    clipped = np.clip(raw, 0, 1)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, clipped, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    divisor = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges,
        counts,
        np.bincount(place, clipped, bins) / divisor,
        np.bincount(place, hits, bins) / divisor,
        int((raw != clipped).sum()),
    )
