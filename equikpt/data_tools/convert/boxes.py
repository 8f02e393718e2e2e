"""Boxes of instances in px, as readers and writers of labels need them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

BoxPx = tuple[float, float, float, float]
"""x, y of the upper left corner, width, height, in px."""

MARGIN = 0.1
"""Margin of a box around points on each side, as a fraction of the points' longer extent."""

SLACK, SLACK_PX = 0.05, 2.0
"""Distance outside its box that the middle of an animal's points may be, as in verification: a
fraction of the longer side, and px."""


def as_box(values: Iterable[float]) -> BoxPx:
    """Four numbers as a box of Python's floats."""
    x, y, width, height = map(float, values)
    return x, y, width, height


def box_between(low: np.ndarray, high: np.ndarray) -> BoxPx:
    """The box from its upper left corner (2,) to its lower right one (2,), px."""
    return as_box([*low, *(high - low)])


def box_around(points: np.ndarray, width: int, height: int) -> BoxPx | None:
    """A box around labelled points with :data:`MARGIN`, inside the image; None without points.

    Args:
        points: (N, 2) x, y, px.
        width: Of the image, px.
        height: Of the image, px.
    """
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    # A single point has no extent: a box of one pixel at least on each side.
    margin = max(1.0, MARGIN * float((high - low).max()))
    low = np.clip(low - margin, 0, (width, height))
    high = np.clip(high + margin, 0, (width, height))
    return box_between(low, high) if (high > low).all() else None


def misses_points(box_px: BoxPx, points: np.ndarray) -> bool:
    """Tell if the middle of (N, 2) labelled points lies outside a box, farther than by rounding."""
    if not len(points):
        return False
    low, sides = np.array(box_px[:2]), np.array(box_px[2:])
    slack = max(SLACK_PX, SLACK * float(sides.max()))
    middle = np.median(points, axis=0)
    return bool((middle < low - slack).any() or (middle > low + sides + slack).any())
