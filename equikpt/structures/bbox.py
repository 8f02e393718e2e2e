"""Boxes compared and paired."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def box_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,), left, top, right and bottom.

    >>> box_iou(np.array([0, 0, 4, 4]), np.array([2, 0, 6, 4]))
    0.3333333333333333
    """
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    common = float(np.prod(np.maximum(high - low, 0)))
    total = box_area(one) + box_area(other) - common
    return common / total if total > 0 else 0.0


def hungarian_match(similarity: np.ndarray, min_similarity: float) -> list[tuple[int, int]]:
    """Pair rows and columns for the largest sum, none below ``min_similarity``.

    Args:
        similarity: (N, M) similarities.
        min_similarity: Least of a pair.

    >>> hungarian_match(np.array([[0.9, 0.8], [0.8, 0.1]]), min_similarity=0.2)
    [(0, 1), (1, 0)]
    """
    # what is below counts nothing, so that it does not decide between the others
    counted = np.where(similarity >= min_similarity, similarity, 0)
    rows, columns = linear_sum_assignment(counted, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if similarity[row, column] >= min_similarity]


def box_area(box: np.ndarray) -> float:
    """Area of a box (4,), left, top, right and bottom."""
    return float(np.prod(box[2:4] - box[:2]))


def whole_image(image: np.ndarray) -> np.ndarray:
    """The box (4,) of a whole image (H, W, 3).

    MMPose's data sets clip boxes to the last px, so training saw images this way.
    """
    height, width = image.shape[:2]
    return np.array([0, 0, width - 1, height - 1])
