"""Judge boxes, areas and crowd marks over a whole file: one row may be odd, most rows may not.

A box goes around its labelled points and lies in its image. Where many boxes of a file do not, and
nearly all do in one other reading, that reading is what the file means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from equikpt.core.coco.checks import has_area, is_box, is_used, visibilities
from equikpt.core.issues import Issue

STATED = "[x, y, width, height]"

TOLERANCE = 0.02
"""By how much of its extent a point may pass a box that still counts as going around it."""

FORM_ENOUGH = 0.65
"""Fraction of boxes that must fit in another form for it to be the file's. Of people of COCO, whose
boxes are tight, 0.73 and 0.84 fit in two samples, and at most 0.25 in a wrong form."""

FORM_AHEAD = 0.3
"""By how much that fraction must exceed the one of the boxes as they are written."""

MIN_JUDGED = 3
"""Boxes with at least two labelled points, of which fewer prove nothing."""

FAR_BELOW = 0.1
"""Area as a fraction of its box; those of people of COCO are 0.16 and more."""

FEW = 0.05
"""Fraction of animals up to which small areas may be those of thin animals."""

FRACTION_LIMIT = 1.5
"""Largest coordinate of a file that seems to hold fractions; points may lie a little outside."""

Form = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _fractions(box: np.ndarray, size: np.ndarray) -> np.ndarray:
    return box * size[:, [0, 1, 0, 1]]


def _corners(box: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)


def _centre(box: np.ndarray, size: np.ndarray) -> np.ndarray:
    return box - box[:, [2, 3, 2, 3]] * (0.5, 0.5, 0, 0)


FORMS: dict[str, Form] = {
    STATED: lambda box, size: box,
    "[left, top, right, bottom]": _corners,
    "[x, y, width, height] with y the bottom": lambda box, size: box - box[:, [3]] * (0, 1, 0, 0),
    "[x, y, width, height] with x, y the centre": _centre,
    "[y, x, height, width]": lambda box, size: box[:, [1, 0, 3, 2]],
    "[x, y, height, width]": lambda box, size: box[:, [0, 1, 3, 2]],
    "fractions of the image": _fractions,
    "[left, top, right, bottom] in fractions of the image": lambda box, size: _corners(
        _fractions(box, size), size
    ),
    "centre and size in fractions of the image": lambda box, size: _centre(
        _fractions(box, size), size
    ),
}
"""Meanings of four numbers, as the way to x, y, width, height in px. The first is COCO's."""


class BoxForm(NamedTuple):
    """Meaning of the boxes of a file.

    Args:
        name: A key of :data:`FORMS`.
        fraction: Boxes that fit points and image in it.
        stated_fraction: Boxes that do as they are written.
    """

    name: str
    fraction: float
    stated_fraction: float


def likely_form(boxes: np.ndarray, low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> BoxForm:
    """Find the meaning of the boxes of a file.

    Args:
        boxes: (N, 4) as they are written.
        low: (N, 2) upper left corner of the rectangle around the labelled points, px.
        high: (N, 2) lower right corner of it.
        sizes: (N, 2) width and height of the images, px; 0 where they are not known.
    """
    if len(boxes) < MIN_JUDGED:
        return BoxForm(STATED, 1.0, 1.0)
    fractions = {
        name: float(fits(form(boxes, sizes), low, high, sizes).mean())
        for name, form in FORMS.items()
    }
    best, stated = max(fractions, key=lambda name: fractions[name]), fractions[STATED]
    certain = fractions[best] >= FORM_ENOUGH and fractions[best] - stated >= FORM_AHEAD
    chosen = best if certain else STATED
    return BoxForm(chosen, fractions[chosen], stated)


def fits(boxes: np.ndarray, low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Tell of each box (N,) whether it goes around its points and, by a known size, in its image.

    Arguments are those of :func:`likely_form`, with boxes as x, y, width, height in px.
    """
    slack = 1 + TOLERANCE * np.abs(boxes[:, 2:])
    first, last = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    around = (low >= first - slack) & (high <= last + slack) & (boxes[:, 2:] > 0)
    inside = (sizes <= 0) | ((first >= -slack) & (last <= sizes + slack))
    return (around & inside).all(axis=1)


def check_boxes(content: dict) -> list[Issue]:
    """Judge the boxes, areas and crowd marks of a COCO file together.

    Args:
        content: In which :func:`equikpt.core.coco.checks.check_coco` found no error.
    """
    used = [row for row in content["annotations"] if is_used(row)]
    examples = tuple(f"annotation {row['id']}" for row in used)
    largest = max((_xy(row).max() for row in used), default=np.inf)
    narrowest = min(min(row["width"], row["height"]) for row in content["images"])
    if largest <= FRACTION_LIMIT < narrowest:
        message = f"coordinates that seem to be fractions of the image, up to {largest:.3g}"
        return [Issue("fractions", message, examples=examples)]
    form = form_of(content)
    if form.name != STATED:
        message = (
            f"boxes that seem to be {form.name}: so read, {form.fraction:.0%} go around their "
            f"points inside their images, as written {form.stated_fraction:.0%}"
        )
        return [Issue("box_form", message, examples=examples)]
    return [*crowds_with_points(content), *areas_far_below(content)]


def form_of(content: dict) -> BoxForm:
    """Find the meaning of the boxes of a COCO file."""
    size_of = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    rows = [row for row in content["annotations"] if is_used(row) and is_box(row.get("bbox"))]
    judged = [(row, xy) for row in rows if len(xy := _xy(row)) > 1]
    return likely_form(
        np.array([row["bbox"] for row, _ in judged], float),
        np.array([xy.min(axis=0) for _, xy in judged]),
        np.array([xy.max(axis=0) for _, xy in judged]),
        np.array([size_of[row["image_id"]] for row, _ in judged], float),
    )


def crowds_with_points(content: dict) -> list[Issue]:
    """Find crowds that have labelled points, which nothing trains or tests."""
    labelled = [row for row in content["annotations"] if visibilities(row).any()]
    crowds = [row for row in labelled if row.get("iscrowd")]
    message = "animals with labelled points that iscrowd=1 keeps out of training and tests"
    return _counted("crowd", message, crowds, labelled)


def areas_far_below(content: dict) -> list[Issue]:
    """Find areas of so small a fraction of their boxes that AP is near 0 whatever the error."""
    used = [row for row in content["annotations"] if is_used(row)]
    used = [row for row in used if has_area(row) and is_box(row.get("bbox"))]
    low = [row for row in used if row["area"] < FAR_BELOW * row["bbox"][2] * row["bbox"][3]]
    message = (
        f"areas below {FAR_BELOW:.0%} of their boxes, with which AP is near 0 however good the "
        "points are"
    )
    return _counted("area_far_below_box", message, low if len(low) > FEW * len(used) else [], used)


def _counted(code: str, message: str, rows: list[dict], among: list[dict]) -> list[Issue]:
    """One issue of all rows with their percentage, or none without rows."""
    if not rows:
        return []
    message = f"{message}, {len(rows)} of {len(among)} ({len(rows) / len(among):.0%})"
    return [Issue(code, message, examples=tuple(f"annotation {row['id']}" for row in rows))]


def _xy(row: dict) -> np.ndarray:
    """(N, 2) labelled points of an annotation, px."""
    points = np.asarray(row["keypoints"], float).reshape(-1, 3)
    return points[points[:, 2] > 0, :2]
