"""Boxes that a file gives in another reading than x, y, width, height, and boxes it does not give.

A box goes around its labelled points and lies in its picture. Where many boxes of a file do not,
and nearly all do in one other reading, that reading is what the file means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from equikpt.data_tools.convert.records import BoxPx
from equikpt.datasets.coco_checks import named

MARGIN = 0.1
"""Of a box around points on each side, as a share of the points' longer extent."""

TOLERANCE = 0.02
"""By how much of its extent a point may pass a box that still counts as going around it."""

STATED_ENOUGH = 0.75
"""Share of boxes that fit from which on a file is taken at its word."""

REPAIR_ENOUGH = 0.9
"""Share that another reading must reach to be taken instead."""

READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "x, y, width, height": lambda box: box,
    "y is the bottom edge": lambda box: box - (0, box[3], 0, 0),
    "two corners": lambda box: box - (0, 0, box[0], box[1]),
    "width and height swapped": lambda box: box[[0, 1, 3, 2]],
}
"""What four numbers may mean, as the way to x, y, width, height. The first is COCO's."""


def read_boxes(
    boxes: Sequence[np.ndarray | None],
    points: Sequence[np.ndarray],
    sizes: Sequence[tuple[int, int]],
    where: Sequence[str],
) -> tuple[list[BoxPx | None], list[str]]:
    """Boxes of one file as x, y, width, height in px.

    Args:
        boxes: N boxes of four numbers, None where there is none.
        points: N arrays (M, 2) of the labelled points, px.
        sizes: N widths and heights of the pictures, px; (0, 0) where they are not known.
        where: N names, for messages.

    Returns:
        The boxes, and notes on what was repaired and on what does not fit.
    """
    judged = [
        (index, box)
        for index, (box, xy) in enumerate(zip(boxes, points, strict=True))
        if box is not None and len(xy) > 1
    ]
    fits = {
        name: [_fits(reading(box), points[index], sizes[index]) for index, box in judged]
        for name, reading in READINGS.items()
    }
    shares = {name: float(np.mean(found)) if found else 1.0 for name, found in fits.items()}
    stated, best = next(iter(READINGS)), max(shares, key=lambda name: shares[name])
    repaired = shares[stated] < STATED_ENOUGH and shares[best] >= REPAIR_ENOUGH
    chosen = best if repaired else stated
    notes = []
    if repaired:
        notes.append(
            f"boxes are not x, y, width, height; {best}, which fits points and picture of "
            f"{shares[best]:.0%} of the animals ({shares[stated]:.0%} as stated): put right"
        )
    astray = [where[index] for (index, _), fit in zip(judged, fits[chosen], strict=True) if not fit]
    if astray:
        notes.append(
            "boxes that leave a labelled point outside, or the picture, kept as they are "
            f"({named(astray)})"
        )
    read = [None if box is None else READINGS[chosen](box) for box in boxes]
    flat = [where[index] for index, box in enumerate(read) if box is not None and min(box[2:]) <= 0]
    if flat:
        notes.append(f"boxes without area, taken anew around the points ({named(flat)})")
    return [None if box is None or min(box[2:]) <= 0 else _as_tuple(box) for box in read], notes


def box_around(points: np.ndarray, width: int, height: int) -> BoxPx | None:
    """A box around labelled points with :data:`MARGIN`, inside the picture; None without points.

    Args:
        points: (N, 2) x, y, px.
        width: Of the picture, px.
        height: Of the picture, px.
    """
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    # A single point has no extent: a box of one pixel at least on each side.
    margin = max(1.0, MARGIN * float((high - low).max()))
    low = np.clip(low - margin, 0, (width, height))
    high = np.clip(high + margin, 0, (width, height))
    return _as_tuple(np.concatenate([low, high - low])) if (high > low).all() else None


def _fits(box: np.ndarray, points: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether the box goes around the points and, where its size is known, lies in the picture."""
    slack = 1 + TOLERANCE * np.abs(box[2:])
    low, high = box[:2], box[:2] + box[2:]
    around = (points >= low - slack).all() and (points <= high + slack).all()
    inside = min(size) <= 0 or ((low >= -slack).all() and (high <= size + slack).all())
    return bool(min(box[2:]) > 0 and around and inside)


def _as_tuple(box: np.ndarray) -> BoxPx:
    x, y, width, height = map(float, box)
    return x, y, width, height
