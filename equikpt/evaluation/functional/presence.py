"""Measures of scores that tell two kinds of things apart: present or absent, seen or hidden."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties by half.

    Args:
        scores: (N,)
        positive: (N,) bool.

    Returns:
        0 to 1; NaN where one of both kinds is missing.

    Source: Hanley and McNeil, 1982 (the Mann–Whitney statistic).

    >>> roc_auc(np.array([0.9, 0.8, 0.3]), np.array([True, False, False]))
    1.0
    >>> roc_auc(np.array([0.5, 0.5]), np.array([True, False]))
    0.5
    """
    positive = np.asarray(positive, bool)
    count, others = positive.sum(), (~positive).sum()
    if not count or not others:
        return float("nan")
    ranks = rankdata(np.asarray(scores, float))
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mean precision at each positive, in the order of falling scores; NaN without a positive.

    Equal scores count as found at once, at the last of their ranks.

    >>> round(average_precision(np.array([0.9, 0.8, 0.3]), np.array([True, False, True])), 3)
    0.833
    """
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(positive[order]), -scores[order]
    last = np.searchsorted(ranked, ranked, side="right") - 1
    precision = hits[last] / (last + 1)
    return float(precision[positive[order]].mean())
