"""Matching of predicted points with ground truth: N true points, M predicted ones, in one unit."""

from __future__ import annotations

import numpy as np


def match(gt: np.ndarray, predicted: np.ndarray, radius: float) -> np.ndarray:
    """Index of the true point (N, 2) that each predicted one (M, 2) is, (M,); −1 for none.

    Pairs not farther apart than ``radius``, the nearest first; each point belongs to one pair at
    most.

    >>> match(np.array([[0, 0], [9, 9]]), np.array([[9, 8], [1, 0], [50, 50]]), radius=3)
    array([ 1,  0, -1])
    """
    belongs = np.full(len(predicted), -1)
    apart = np.linalg.norm(gt[:, None] - predicted, axis=-1)
    taken = np.zeros(len(gt), bool)
    for flat in np.argsort(apart, axis=None, kind="stable"):
        true, found = np.unravel_index(flat, apart.shape)
        if apart[true, found] > radius:
            break
        if not taken[true] and belongs[found] < 0:
            belongs[found], taken[true] = true, True
    return belongs


def duplicates(
    gt: np.ndarray, predicted: np.ndarray, belongs: np.ndarray, radius: float
) -> np.ndarray:
    """Mark the predicted points of a thing that another one has marked, (M,) bool.

    They belong (:func:`match`) to no true point, and one that is marked lies within ``radius``.
    """
    marked = gt[belongs[belongs >= 0]]
    near = np.linalg.norm(marked[:, None] - predicted, axis=-1) <= radius
    return near.any(axis=0) & (belongs < 0)


def everything_found(gt: np.ndarray, predicted: np.ndarray, radius: float) -> np.ndarray:
    """Tell for n from 0 to M if the first n predicted points match all true ones, (M + 1,).

    One point more never unmatches a true one (the nearest pairs first are a stable matching), so
    the first such n is found by halving.
    """
    low, high = len(gt), max(len(gt), len(predicted) + 1)
    while low < high:
        middle = (low + high) // 2
        if (match(gt, predicted[:middle], radius) >= 0).sum() == len(gt):
            high = middle
        else:
            low = middle + 1
    return np.arange(len(predicted) + 1) >= low
