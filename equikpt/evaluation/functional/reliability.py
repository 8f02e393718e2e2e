"""Scores as probabilities: calibration by isotonic regression, and how far off they are.

Source: Zadrozny and Elkan, 2002, Transforming classifier scores into accurate multiclass
probability estimates (isotonic regression); Guo et al., 2017, On calibration of modern neural
networks (the expected calibration error).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

BINS = 15
"""Of equal width, as in Guo et al."""


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


def reliability(probabilities: np.ndarray, hits: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Compare probabilities with how often they came true, a row a bin that is not empty.

    Args:
        probabilities: (N,) from 0 to 1.
        hits: (N,) bool.
        bins: Of equal width.

    Returns:
        Columns ``low``, ``high``, ``count``, ``probability`` (mean) and ``hits`` (fraction).
    """
    probabilities, hits = np.asarray(probabilities, float), np.asarray(hits, float)
    number = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    rows = [
        dict(
            low=index / bins,
            high=(index + 1) / bins,
            count=int(inside.sum()),
            probability=probabilities[inside].mean(),
            hits=hits[inside].mean(),
        )
        for index in range(bins)
        if (inside := number == index).any()
    ]
    return pd.DataFrame(rows, columns=["low", "high", "count", "probability", "hits"])


def expected_calibration_error(
    probabilities: np.ndarray, hits: np.ndarray, bins: int = BINS
) -> float:
    """Mean distance of probability and fraction of hits over the bins, by their counts.

    >>> expected_calibration_error(np.array([0.5, 0.5]), np.array([True, False]))
    0.0
    >>> round(expected_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 3)
    0.4
    """
    table = reliability(probabilities, hits, bins)
    gaps = (table["probability"] - table["hits"]).abs()
    return float((gaps * table["count"]).sum() / max(1, table["count"].sum()))
