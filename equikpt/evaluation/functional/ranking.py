"""Measures of a ranking by scores: average precision, and the area under the ROC curve."""

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


def average_precision(right: np.ndarray, scores: np.ndarray, total: int) -> float:
    """Area under precision over recall, precision made falling: at each recall the best beyond it.

    ``right`` (n,) marks the found points that are; those of one score (n,) count together. Without
    true points, ``total``, it is NaN.

    Source: Everingham et al., 2010, PASCAL VOC as from 2010 on (all recalls).

    >>> round(average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.3]), 2), 3)
    0.833
    """
    if total == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    last_of_score = (
        np.append(np.diff(scores[order]) != 0, True) if len(order) else np.zeros(0, bool)
    )
    hits, tried = hits[last_of_score], np.flatnonzero(last_of_score) + 1
    precision = np.maximum.accumulate((hits / tried)[::-1])[::-1]
    recall = hits / total
    return float(np.sum(np.diff(recall, prepend=0) * precision))
