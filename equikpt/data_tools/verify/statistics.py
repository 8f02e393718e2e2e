"""Figures of a set: sizes, points an instance, crowding, visibilities by keypoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from equikpt.core.issues import Issue, Subject
from equikpt.data_tools.verify.label_set import LabelSet

PERCENTILES = (0, 5, 50, 95, 100)
CROWDED_IOU = 0.3
"""Overlap of two boxes from which top-down crops show both."""
SELDOM_SHARE = 0.02
"""Share of the annotations: a point that fewer label hardly trains."""
MIN_ANNOTATIONS = 50
"""Below this, shares say little."""
OFTEN_MISSING_SHARE = 0.05
"""Points are left out of a set at times where its average point is missing this often."""


def statistics(labels: LabelSet) -> dict[str, dict]:
    """Compute figures of each file by its name; plain numbers, as JSON takes them.

    Lengths are px of the image. ``box side`` is the longer one; ``crowded`` is the share of used
    annotations whose box overlaps another one's by an IoU above ``CROWDED_IOU``.
    """
    figures = {}
    for index, file in enumerate(labels.files):
        mine = labels.file == index
        boxes, labelled = labels.boxes[mine], labels.labelled[mine]
        image_ids = np.array([labels.rows[row]["image_id"] for row in np.flatnonzero(mine)], int)
        side = boxes[:, 2:].max(axis=1)
        an_image = Counter(image_ids.tolist())
        figures[file.name] = {
            "images": len(file.content["images"]),
            "annotations": len(file.content["annotations"]),
            "used annotations": int(mine.sum()),
            "images without a used annotation": len(file.content["images"]) - len(an_image),
            "annotations an image": _spread(np.array(list(an_image.values()))),
            "points an annotation": _spread(labelled.sum(axis=1)),
            "box side px": _spread(side[np.isfinite(side)]),
            "box side of image": _spread(side / labels.sizes[mine].max(axis=1), digits=3),
            "crowded": round(_crowded(boxes, image_ids), 3),
            "labelled": _shares(labels, mine, 1),
            "hidden of labelled": _shares(labels, mine, 2),
        }
    return figures


def _spread(values: np.ndarray, digits: int = 1) -> dict[str, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"p{p}": round(float(v), digits) for p, v in zip(PERCENTILES, found, strict=True)}


def _shares(labels: LabelSet, mine: np.ndarray, kind: int) -> dict[str, float]:
    """By keypoint, the share that is labelled (1), or of those the share that is hidden (2)."""
    visibility = labels.visibility[mine]
    labelled = (visibility > 0).sum(axis=0)
    part, whole = (
        (labelled, len(visibility)) if kind == 1 else ((visibility == 1).sum(axis=0), labelled)
    )
    share = part / np.maximum(whole, 1)
    return dict(zip(labels.scheme.names, np.round(share, 3).tolist(), strict=True))


def _crowded(boxes: np.ndarray, image_ids: np.ndarray) -> float:
    """Share of boxes that overlap another one of their image."""
    if not len(boxes):
        return 0.0
    crowded = np.zeros(len(boxes), bool)
    order = np.argsort(image_ids, kind="stable")
    starts = np.flatnonzero(np.diff(image_ids[order], prepend=image_ids[order[0]] - 1))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            overlap = _iou(boxes[members])
            np.fill_diagonal(overlap, 0)
            crowded[members] = (overlap > CROWDED_IOU).any(axis=1)
    return float(crowded.mean())


def _iou(boxes: np.ndarray) -> np.ndarray:
    """(M, M) intersection over union of boxes (M, 4), x, y, width, height."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sides = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.maximum(sides, 0).prod(axis=-1)
    area = boxes[:, 2] * boxes[:, 3]
    return shared / np.maximum(area[:, None] + area[None] - shared, 1e-9)


def check_visibility(labels: LabelSet) -> Iterator[Issue]:
    """Find keypoints labelled never, seldom or always, and visibilities that say nothing."""
    for index, file in enumerate(labels.files):
        visibility = labels.visibility[labels.file == index]
        if not len(visibility):
            continue
        share = (visibility > 0).mean(axis=0)
        yield from _by_keypoint(labels, share, len(visibility), file.name)
        levels = np.unique(visibility[visibility > 0])
        if len(levels) == 1 and len(visibility) >= MIN_ANNOTATIONS:
            meaning = {1: "hidden", 2: "seen"}[int(levels[0])]
            message = f"every labelled point has visibility {levels[0]}, {meaning}"
            yield Issue("one_visibility", message, subject=Subject(file=file.name))


def _by_keypoint(labels: LabelSet, share: np.ndarray, count: int, file: str) -> Iterator[Issue]:
    kinds = [("never_labelled", share == 0)]
    if count >= MIN_ANNOTATIONS:
        kinds.append(("seldom_labelled", (share > 0) & (share < SELDOM_SHARE)))
        if (share[share > 0] < 1 - OFTEN_MISSING_SHARE).mean() > 0.5:
            kinds.append(("always_labelled", share == 1))
    for code, which in kinds:
        points = np.flatnonzero(which)
        if len(points):
            yield Issue(
                code,
                f"{len(points)} of {len(share)} keypoints, over {count} annotations: "
                f"{labels.scheme.names_of(points)}",
                subject=Subject(file=file, keypoints=tuple(points.tolist())),
            )
