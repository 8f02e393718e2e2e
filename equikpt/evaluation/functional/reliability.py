"""Scores as probabilities: calibration by isotonic regression, and how far off they are.

Source: Zadrozny and Elkan, 2002, Transforming classifier scores into accurate multiclass
probability estimates (isotonic regression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression
from scipy.stats import binomtest

SCORE_BINS = 10
"""Bins of equal width over scores from 0 to 1."""


class ScoreMap(NamedTuple):
    """A rising piecewise linear map from scores to probabilities.

    Args:
        scores: (P,) rising.
        probabilities: (P,) of them, not falling.
    """

    scores: np.ndarray
    probabilities: np.ndarray

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Map scores of any shape; beyond the ends the ends' probabilities hold."""
        return np.interp(scores, self.scores, self.probabilities)


def fit_score_map(scores: np.ndarray, hits: np.ndarray, blocks: int = 20) -> ScoreMap:
    """Fit the probability of a hit to scores, not falling.

    Isotonic regression gives steps; a line through the steps' middles keeps apart what scores keep
    apart, so that the order of keypoints stays. Both ends lean towards the mean by one hit and one
    miss each (Laplace's rule), so that no score is certain.

    Args:
        scores: (N,)
        hits: (N,) bool.
        blocks: Most pieces of the map; each has at least N / ``blocks`` scores.

    Raises:
        ValueError: There is no score.
    """
    scores, hits = np.asarray(scores, float), np.asarray(hits, float)
    if not len(scores):
        raise ValueError("expected scores to calibrate, got none; give held-out labelled images")
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, min(blocks, len(order)))
    middles = np.array([scores[part].mean() for part in parts])
    sizes = np.array([len(part) for part in parts])
    rates = np.array([(hits[part].sum() + 2 * hits.mean()) / (len(part) + 2) for part in parts])
    levels = isotonic_regression(rates, weights=sizes).x
    middles, first = np.unique(middles, return_index=True)
    return ScoreMap(middles, np.asarray(levels)[first])


@dataclass(frozen=True)
class Reliability:
    """Reliability diagram: a calibrated model that scores points 0.8 has 80 % of them right.

    Args:
        bins: One row a bin with points: ``left`` and ``right_end`` of its scores, ``points``,
            ``score`` (mean), ``right`` (fraction), ``low`` and ``high`` (Wilson's 95 % interval of
            ``right``, which takes points for independent; those of one image are not quite).
        outside: Points with a score below 0 or above 1, which count as 0 and 1.
    """

    bins: pd.DataFrame
    outside: int

    @property
    def expected_calibration_error(self) -> float:
        """Mean over points of the difference, 0 to 1, of their bin's accuracy and confidence.

        Source: Naeini, Cooper and Hauskrecht, 2015, Obtaining Well Calibrated Probabilities Using
        Bayesian Binning; with equal bins as in Guo et al., 2017, On Calibration of Modern Neural
        Networks, eq. 3. It is biased upwards where bins hold few points.
        """
        return self._mean((self.bins["right"] - self.bins["score"]).abs())

    @property
    def overconfidence(self) -> float:
        """Mean score minus the fraction that is right: above 0 the model promises too much."""
        return self._mean(self.bins["score"] - self.bins["right"])

    def _mean(self, gaps: pd.Series) -> float:
        return float(np.average(gaps, weights=self.bins["points"])) if len(gaps) else float("nan")


def reliability(scores: np.ndarray, right: np.ndarray) -> Reliability:
    """Sort points into bins by score; a score on an edge belongs to the upper bin, 1 to the last.

    Args:
        scores: Any shape.
        right: The same shape: 1 or 0, NaN for points that are not labelled, which are left out.
    """
    known = np.isfinite(right)
    raw = np.asarray(scores, float)[known]
    points = pd.DataFrame(dict(score=raw.clip(0, 1), right=np.asarray(right, float)[known]))
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    index = np.searchsorted(edges, points["score"], side="right").clip(1, SCORE_BINS) - 1
    bins = points.groupby(index).agg(
        points=("right", "size"), score=("score", "mean"), right=("right", "mean")
    )
    hits = (bins["right"] * bins["points"]).round().astype(int)
    ends = [
        binomtest(*counts).proportion_ci(method="wilson")
        for counts in zip(hits, bins["points"], strict=True)
    ]
    bins[["low", "high"]] = np.array(ends, float).reshape(-1, 2)
    bins[["left", "right_end"]] = np.stack([edges[bins.index], edges[bins.index + 1]], axis=1)
    return Reliability(bins, int((raw != points["score"]).sum()))
