"""Boxes, areas and points against each other and against the image; no image is opened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.coco.box_checks import (
    FRACTION_LIMIT,
    STATED,
    areas_far_below,
    crowds_with_points,
    likely_form,
)
from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet, corners_px

OUTSIDE_FRACTION = 0.05
"""Distance of a point from its box over its longer side that may be: hidden ends are guessed."""
OUTSIDE_PX = 2.0
SEEN = 2
"""COCO visibility of a point that is not hidden."""
REACHES_OUT_PX = 1.0
"""Px that a box may reach out of its image: exporters round."""
AREA_FRACTION = 1.02
"""Largest area as a fraction of its box: outlines are rounded."""
MIN_INSIDE = 0.95
"""Fraction of the labelled points of a file inside their images, with sizes as they are meant."""
MIN_INSIDE_EXCHANGED = 0.99


def check_geometry(labels: LabelSet) -> Iterator[Issue]:
    """Find everything that numbers alone tell and ``check_coco`` does not."""
    judged = np.ones(len(labels), bool)
    for index, file in enumerate(labels.files):
        issues = _of_exporter(labels, labels.file == index)
        if any(issue.code in ("fractions", "box_form") for issue in issues):
            judged &= labels.file != index
        else:
            issues += [*crowds_with_points(file.content), *areas_far_below(file.content)]
        yield from (issue.of(file=file.name) for issue in issues)
    if len(labels):
        yield from _points_and_box(labels, judged)
        yield from _box_and_image(labels, judged)
        yield from _areas(labels, judged)
        yield from _coinciding(labels)


def box_excess_px(xy: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N, K) how far each point is outside its box, 0 inside; (N, K, 2) and (N, 4) in px."""
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    return np.maximum(np.maximum(low - xy, xy - high), 0).max(axis=-1)


def _of_exporter(labels: LabelSet, mine: np.ndarray) -> list[Issue]:
    """Mistakes that all rows of a file share."""
    labelled, xy, sizes = labels.labelled[mine], labels.xy[mine], labels.sizes[mine]
    if not labelled.any():
        return []
    largest = xy[labelled].max()
    if largest <= FRACTION_LIMIT < sizes.min():
        message = f"the largest coordinate of all labelled points is {largest:.3g}"
        return [Issue("fractions", message)]
    issues = []
    inside, exchanged = (
        ((xy >= 0) & (xy <= each[:, None])).all(axis=-1)[labelled].mean()
        for each in (sizes, sizes[:, ::-1])
    )
    if inside < MIN_INSIDE and exchanged > max(inside, MIN_INSIDE_EXCHANGED):
        sizes = sizes[:, ::-1]
        message = (
            f"{inside:.0%} of the labelled points are inside their images as listed, "
            f"{exchanged:.0%} with width and height exchanged"
        )
        issues.append(Issue("size_form", message))
    boxes, (low, high) = labels.boxes[mine], corners_px(xy, labelled)
    judged = (labelled.sum(axis=1) > 1) & np.isfinite(boxes).all(axis=1)
    form = likely_form(*(each[judged] for each in (boxes, low, high, sizes)))
    if form.name != STATED:
        message = (
            f"inside their images, {form.stated_fraction:.0%} of the boxes go around their points "
            f"as written, {form.fraction:.0%} if read as {form.name}"
        )
        issues.append(Issue("box_form", message))
    return issues


def _points_and_box(labels: LabelSet, judged: np.ndarray) -> Iterator[Issue]:
    """Boxes that do not hold their points; hidden points are guessed and may be anywhere near."""
    boxes = labels.boxes
    judged = judged & (boxes[:, 2:] > 0).all(axis=1)  # which no NaN is
    allowed = np.maximum(OUTSIDE_PX, OUTSIDE_FRACTION * boxes[:, 2:].max(axis=1))[:, None]
    excess = box_excess_px(labels.xy, boxes)
    mask = np.repeat(~labels.labelled[..., None], 2, axis=-1)
    middle = np.ma.median(np.ma.array(labels.xy, mask=mask), axis=1).filled(0)
    away = judged & (box_excess_px(middle[:, None], boxes) > allowed)[:, 0]
    seen = (labels.visibility == SEEN) & ~_at_origin(labels)
    for code, which in (
        ("box_misses_points", labels.labelled & away[:, None]),
        ("point_outside_box", seen & (judged & ~away)[:, None]),
    ):
        outside = (excess > allowed) & which
        for index in np.flatnonzero(outside.any(axis=1)):
            points = np.flatnonzero(outside[index])
            farthest = excess[index, points].max()
            yield labels.issue(
                code,
                index,
                f"{len(points)} of {labels.labelled[index].sum()} labelled points are outside the "
                f"box, by up to {farthest:.0f} px: {labels.scheme.names_of(points)}",
                points,
                farthest / boxes[index, 2:].max(),
            )


def _box_and_image(labels: LabelSet, judged: np.ndarray) -> Iterator[Issue]:
    """Boxes that reach out; those with nothing inside are an error of ``check_coco``."""
    low = labels.boxes[:, :2]
    high = low + labels.boxes[:, 2:]
    excess = np.maximum(-low, high - labels.sizes).max(axis=1)
    inside = np.minimum(high, labels.sizes - 1) - np.maximum(low, 0)
    for index in np.flatnonzero((excess > REACHES_OUT_PX) & (inside > 0).all(axis=1) & judged):
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
    over = (labels.areas > AREA_FRACTION * of_box + 1) & (of_box > 0) & judged
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
    """Labelled points at the corner of the image, and several with the same coordinates."""
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
    for index in np.flatnonzero((in_order[:, 1:] == in_order[:, :-1]).any(axis=1)):
        _, inverse, counts = np.unique(coords[index], return_inverse=True, return_counts=True)
        points = np.flatnonzero(counts[inverse] > 1)
        message = f"same coordinates: {labels.scheme.names_of(points)}"
        yield labels.issue("points_coincide", index, message, points, len(points))
