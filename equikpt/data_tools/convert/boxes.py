"""Boxes that a file gives in another form than x, y, width, height, and boxes it does not give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equikpt.core.coco.box_checks import FORMS, STATED, fits, likely_form
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.records import BoxPx

MARGIN = 0.1
"""Margin of a box around points on each side, as a share of the points' longer extent."""

SLACK = 0.05
SLACK_PX = 2.0
"""Distance outside its box that the middle of an animal's points may be, as in verification: a
share of the longer side, and px."""


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
        sizes: N widths and heights of the images, px; (0, 0) where they are not known.
        where: N names, for messages.

    Returns:
        The boxes, and notes on what was repaired and on what does not fit.
    """
    judged = [
        index
        for index, (box, xy) in enumerate(zip(boxes, points, strict=True))
        if box is not None and len(xy) > 1
    ]
    evidence = (
        np.array([boxes[index] for index in judged], float).reshape(-1, 4),
        np.array([points[index].min(axis=0) for index in judged], float).reshape(-1, 2),
        np.array([points[index].max(axis=0) for index in judged], float).reshape(-1, 2),
        np.array([sizes[index] for index in judged], float).reshape(-1, 2),
    )
    form = likely_form(*evidence)
    notes = []
    if form.name != STATED:
        notes.append(
            f"boxes are not {STATED}; {form.name}, which fits points and image of "
            f"{form.fraction:.0%} of the animals ({form.stated_fraction:.0%} as stated): put right"
        )
    fit = fits(FORMS[form.name](evidence[0], evidence[3]), *evidence[1:])
    astray = [where[index] for index, fine in zip(judged, fit, strict=True) if not fine]
    if astray:
        notes.append(
            f"boxes that leave a labelled point outside, or the image ({format_examples(astray)})"
        )
    read = [
        None if box is None else FORMS[form.name](box[None], np.array([size], float))[0]
        for box, size in zip(boxes, sizes, strict=True)
    ]
    flat = [where[index] for index, box in enumerate(read) if box is not None and min(box[2:]) <= 0]
    if flat:
        notes.append(f"boxes without area, taken anew around the points ({format_examples(flat)})")
    return [None if box is None or min(box[2:]) <= 0 else _as_tuple(box) for box in read], notes


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
    return _as_tuple(np.concatenate([low, high - low])) if (high > low).all() else None


def misses_points(box_px: BoxPx, points: np.ndarray) -> bool:
    """Tell if the middle of the labelled points lies outside a box, farther than by rounding.

    Args:
        box_px: x, y, width, height, px.
        points: (N, 2) labelled points, px.
    """
    if not len(points):
        return False
    low, sides = np.array(box_px[:2]), np.array(box_px[2:])
    slack = max(SLACK_PX, SLACK * float(sides.max()))
    middle = np.median(points, axis=0)
    return bool((middle < low - slack).any() or (middle > low + sides + slack).any())


def _as_tuple(box: np.ndarray) -> BoxPx:
    x, y, width, height = map(float, box)
    return x, y, width, height
