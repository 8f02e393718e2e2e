"""Boxes, areas and points against each other and against the image; no image is opened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.coco.box_checks import (
    FORMS,
    FRACTION_LIMIT,
    STATED,
    Form,
    areas_far_below,
    crowds_with_points,
    form_of,
)
from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet

OUTSIDE_SHARE = 0.05
"""Share of the box's longer side that a point may be outside: hidden ends are guessed."""
OUTSIDE_PX = 2.0
SEEN = 2
"""COCO visibility of a point that is not hidden."""
REACHES_OUT_PX = 1.0
"""Px that a box may reach out of its image: exporters round."""
AREA_SHARE = 1.02
HELD_SHARE = 0.9
"""Share of the labelled points of a file that must fit for a reading to be the right one."""
MISREAD_SHARE = 0.5
"""Largest share that fits where a file is in another form."""

READINGS: tuple[tuple[str, Form], ...] = tuple(
    (name, form) for name, form in FORMS.items() if name != STATED
)
"""Forms that exporters take boxes for: name, and function to [x, y, width, height] in px."""


def check_geometry(labels: LabelSet) -> Iterator[Issue]:
    """Find everything that numbers alone tell and ``check_coco`` does not."""
    explained = np.zeros(len(labels), bool)
    for index, file in enumerate(labels.files):
        forms = list(_forms(labels, index))
        for issue, explains_boxes in forms:
            yield issue.of(file=file.name)
            explained |= (labels.file == index) & explains_boxes
        if not any(explains_boxes for _, explains_boxes in forms):
            for issue in (*crowds_with_points(file.content), *areas_far_below(file.content)):
                yield issue.of(file=file.name)
    if len(labels):
        yield from _points_and_box(labels, ~explained)
        yield from _box_and_image(labels, ~explained)
        yield from _areas(labels, ~explained)
        yield from _coinciding(labels)


def box_excess_px(xy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, K) how far each point is outside its box, 0 inside; (N, K, 2) and (N, 4) in px."""
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    return np.maximum(np.maximum(low - xy, xy - high), 0).max(axis=-1)


def held(xy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, K) whether boxes (N, 4) hold the points (N, K, 2), within the tolerance."""
    sides = np.maximum(boxes[:, 2:], 0).max(axis=1)
    allowed = np.maximum(OUTSIDE_PX, OUTSIDE_SHARE * sides)[:, None]
    return box_excess_px(xy, boxes) <= allowed


def _forms(labels: LabelSet, index: int) -> Iterator[tuple[Issue, bool]]:
    """Mistakes of an exporter that all rows of a file share, and whether they explain the boxes."""
    mine = labels.file == index
    labelled = labels.labelled[mine]
    xy, sizes, boxes = labels.xy[mine], labels.sizes[mine], labels.boxes[mine]
    if not labelled.any():
        return
    largest = xy[labelled].max()
    if largest <= FRACTION_LIMIT < sizes.min():
        message = f"the largest coordinate of all labelled points is {largest:.3g}"
        yield Issue("fractions", message), True
        return
    inside = _share(_in_image(xy, sizes), labelled)
    exchanged = _share(_in_image(xy, sizes[:, ::-1]), labelled)
    if inside < HELD_SHARE + 0.05 and exchanged > max(inside, 0.99):
        message = (
            f"{inside:.0%} of the labelled points are inside their images as listed, "
            f"{exchanged:.0%} with width and height exchanged"
        )
        yield Issue("size_form", message), False
    form = form_of(labels.files[index].content)
    as_written = _share(held(xy, boxes), labelled)
    message = ""
    if form.name != STATED:
        message = (
            f"inside their images, {form.stated_fraction:.0%} of the boxes go around their points "
            f"as written, {form.fraction:.0%} if read as {form.name}"
        )
    elif as_written <= MISREAD_SHARE and np.isfinite(boxes).all():
        share, name = max(
            (_share(held(xy, read(boxes, sizes)), labelled), name) for name, read in READINGS
        )
        if share >= HELD_SHARE:
            message = (
                f"boxes hold {as_written:.0%} of the labelled points as written, {share:.0%} if "
                f"read as {name}"
            )
    if message:
        yield Issue("box_form", message), True


def _share(which: np.ndarray, of: np.ndarray) -> float:
    return float(which[of].mean())


def _in_image(xy: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.minimum(xy, sizes[:, None] - xy).min(axis=-1) >= 0


def _points_and_box(labels: LabelSet, judged: np.ndarray) -> Iterator[Issue]:
    """Boxes that do not hold their points; hidden points are guessed and may be anywhere near."""
    has_box = np.isfinite(labels.boxes).all(axis=1) & (labels.boxes[:, 2:] > 0).all(axis=1)
    judged = judged & has_box
    out = ~held(labels.xy, labels.boxes)
    middle = np.ma.median(
        np.ma.array(labels.xy, mask=np.repeat(~labels.labelled[..., None], 2, axis=-1)), axis=1
    ).filled(0)
    away = judged & ~held(middle[:, None], labels.boxes)[:, 0]
    seen = (labels.visibility == SEEN) & ~_at_origin(labels)
    seen_out = out & seen & (judged & ~away)[:, None]
    excess = box_excess_px(labels.xy, labels.boxes)
    for code, which in (
        ("box_misses_points", out & labels.labelled & away[:, None]),
        ("point_outside_box", seen_out),
    ):
        for index in np.flatnonzero(which.any(axis=1)):
            points = np.flatnonzero(which[index])
            farthest = excess[index, points].max()
            yield labels.issue(
                code,
                index,
                f"{len(points)} of {labels.labelled[index].sum()} labelled points are outside the "
                f"box, by up to {farthest:.0f} px: {labels.scheme.names_of(points)}",
                points,
                farthest / labels.boxes[index, 2:].max(),
            )


def _box_and_image(labels: LabelSet, judged: np.ndarray) -> Iterator[Issue]:
    """Boxes that reach out; those with nothing inside are an error of ``check_coco``."""
    low = labels.boxes[:, :2]
    high = low + labels.boxes[:, 2:]
    excess = np.maximum(-low, high - labels.sizes).max(axis=1)
    inside = np.minimum(high, labels.sizes - 1) - np.maximum(low, 0)
    reaches = (excess > REACHES_OUT_PX) & (inside > 0).all(axis=1) & judged
    for index in np.flatnonzero(reaches):
        box = ", ".join(f"{value:g}" for value in labels.boxes[index])
        width, height = labels.sizes[index]
        yield labels.issue(
            "box_outside_image",
            index,
            f"the box [{box}] reaches out of the image of {width:g} x {height:g} by "
            f"{excess[index]:.1f} px",
            score=excess[index] / labels.sizes[index].max(),
        )


def _areas(labels: LabelSet, judged: np.ndarray) -> Iterator[Issue]:
    of_box = labels.boxes[:, 2] * labels.boxes[:, 3]
    over = (labels.areas > AREA_SHARE * of_box + 1) & (of_box > 0) & judged
    for index in np.flatnonzero(over):
        yield labels.issue(
            "area_over_box",
            index,
            f"the area is {labels.areas[index]:.0f} px², that of its box {of_box[index]:.0f} px²",
            score=labels.areas[index] / of_box[index],
        )


def _at_origin(labels: LabelSet) -> np.ndarray:
    """(N, K) labelled points at 0, 0, where exporters put those that are not."""
    return labels.labelled & ~labels.xy.any(axis=-1)


def _coinciding(labels: LabelSet) -> Iterator[Issue]:
    """Labelled points at the corner of the image, and several at one place."""
    at_origin = _at_origin(labels)
    for index in np.flatnonzero(at_origin.any(axis=1)):
        points = np.flatnonzero(at_origin[index])
        message = f"labelled at 0, 0: {labels.scheme.names_of(points)}"
        yield labels.issue("labelled_at_origin", index, message, points, len(points))
    # as complex numbers, equal points are neighbours once sorted; those without label all differ
    coords = labels.xy[..., 0] + 1j * labels.xy[..., 1]
    apart = -1.0 - np.arange(coords.shape[1])
    coords = np.where(labels.labelled & ~at_origin, coords, apart)
    in_order = np.sort(coords, axis=1)
    same = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    for index in np.flatnonzero(same):
        values, inverse, counts = np.unique(coords[index], return_inverse=True, return_counts=True)
        points = np.flatnonzero(counts[inverse] > 1)
        yield labels.issue(
            "points_coincide",
            index,
            f"at one place: {labels.scheme.names_of(points)}",
            points,
            len(points),
        )
