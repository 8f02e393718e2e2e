"""Errors of two ruler marks: of each on its own, and of the scale that follows from both.

``predicted`` and ``gt`` are (N, 2, 2): radiographs, the marks p1 and p2, x and y in px.
"""

from __future__ import annotations

import numpy as np

FAILURE_FRACTION = 0.1
"""Fraction of the marks' true distance from which a mark was not found at all."""


def radial_errors(predicted: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Euclidean error of each mark on its own: (N, 2), in the unit of the coordinates.

    Not one norm over all four coordinates, which is √(e1² + e2²), up to 1.4 times the mean of the
    two errors that it is taken for.
    """
    return np.linalg.norm(np.asarray(predicted, float) - np.asarray(gt, float), axis=-1)


def mark_distance(marks: np.ndarray) -> np.ndarray:
    """Distance between p1 and p2 of each radiograph: (N,), in the unit of the coordinates."""
    marks = np.asarray(marks, float)
    return np.linalg.norm(marks[:, 1] - marks[:, 0], axis=-1)


def scale_errors(predicted: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Relative error of a length measured with the predicted ruler, |d_pred / d_true − 1|: (N,).

    Raises:
        ValueError: The true marks of a radiograph lie on one another.

    >>> gt = np.array([[[0, 0], [0, 100]]])
    >>> scale_errors(gt + [[0, 0], [0, 1]], gt)
    array([0.01])
    """
    true_distance = mark_distance(gt)
    if not (true_distance > 0).all():
        raise ValueError(
            f"radiograph number {int(np.argmin(true_distance))} has both marks at one point, so it "
            "has no scale; correct its labels (tools/check_annotations_quality.py)"
        )
    return np.abs(mark_distance(predicted) / true_distance - 1)


def order_swaps(predicted: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Radiographs whose predicted ruler points the other way, p1 where p2 should be: (N,) bool."""
    along = [np.asarray(m, float)[:, 1] - np.asarray(m, float)[:, 0] for m in (predicted, gt)]
    return np.sum(along[0] * along[1], axis=-1) < 0


def failures(predicted: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Tell where a mark is off by more than ``FAILURE_FRACTION``: (N,) bool."""
    limit = FAILURE_FRACTION * mark_distance(gt)
    return np.any(radial_errors(predicted, gt) > limit[:, None], axis=1)
