"""Boxes compared and paired."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def box_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,), left, top, right and bottom.

    >>> box_overlap(np.array([0, 0, 4, 4]), np.array([2, 0, 6, 4]))
    0.3333333333333333
    """
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    common = float(np.prod(np.maximum(high - low, 0)))
    total = box_area(one) + box_area(other) - common
    return common / total if total > 0 else 0.0


def best_pairs(alike: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs of a row and a column with the largest sum, none below ``least``.

    Args:
        alike: (N, M) similarities.
        least: Similarity.

    >>> best_pairs(np.array([[0.9, 0.8], [0.8, 0.1]]), least=0.2)
    [(0, 1), (1, 0)]
    """
    # what is below counts nothing, so that it does not decide between the others
    rows, columns = linear_sum_assignment(np.where(alike >= least, alike, 0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if alike[row, column] >= least]


def box_area(box: np.ndarray) -> float:
    """Area of a box (4,), left, top, right and bottom."""
    return float(np.prod(box[2:4] - box[:2]))
