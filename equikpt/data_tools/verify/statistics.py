"""Figures of a set: sizes, points an instance, crowding, visibilities by keypoint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.issues import Issue, Subject
from equikpt.data_tools.verify.label_set import LabelSet

PERCENTILES = (0, 5, 50, 95, 100)
CROWDED_IOU = 0.3
"""Overlap of two boxes from which top-down crops show both."""
SELDOM_FRACTION = 0.02
"""A point that a smaller fraction of the annotations labels hardly trains."""
MIN_ANNOTATIONS = 50
"""Below this, fractions say little."""
OFTEN_MISSING_FRACTION = 0.05
"""Points are left out of a set at times where its average point is missing this often."""


def statistics(labels: LabelSet) -> dict[str, dict]:
    """Compute figures of each file by its name; plain numbers, as JSON takes them.

    Lengths are px of the image. ``box side`` is the longer one; ``crowded`` is the fraction of used
    annotations whose box overlaps another one's by an IoU above ``CROWDED_IOU``.
    """
    figures, is_crowded = {}, _crowded(labels)
    image_ids = np.array([row["image_id"] for row in labels.rows], int)
    for index, file in enumerate(labels.files):
        mine = labels.file == index
        side = labels.boxes[mine, 2:].max(axis=1)
        labelled, hidden = labels.labelled[mine], labels.visibility[mine] == 1
        on_image = np.unique(image_ids[mine], return_counts=True)[1]
        images, used = len(file.content["images"]), int(mine.sum())
        figures[file.name] = {
            "images": images,
            "annotations": len(file.content["annotations"]),
            "used annotations": used,
            "images without a used annotation": images - len(on_image),
            "annotations an image": _spread(on_image),
            "points an annotation": _spread(labelled.sum(axis=1)),
            "box side px": _spread(side),
            "box side of image": _spread(side / labels.sizes[mine].max(axis=1), digits=3),
            "crowded": round(float(is_crowded[mine].sum() / max(used, 1)), 3),
            "labelled": _fractions(labels, labelled.sum(axis=0), used),
            "hidden of labelled": _fractions(labels, hidden.sum(axis=0), labelled.sum(axis=0)),
        }
    return figures


def _spread(values: np.ndarray, digits: int = 1) -> dict[str, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"p{p}": round(float(v), digits) for p, v in zip(PERCENTILES, found, strict=True)}


def _fractions(labels: LabelSet, count: np.ndarray, total: np.ndarray | int) -> dict[str, float]:
    """By keypoint."""
    fractions = np.round(count / np.maximum(total, 1), 3)
    return dict(zip(labels.scheme.names, fractions.tolist(), strict=True))


def _crowded(labels: LabelSet) -> np.ndarray:
    """(N,) bool, boxes that overlap another one of their image."""
    crowded = np.zeros(len(labels), bool)
    pairs = labels.pairs_on_images()
    low, high = labels.boxes[:, :2][pairs], (labels.boxes[:, :2] + labels.boxes[:, 2:])[pairs]
    common = np.maximum(high.min(axis=1) - low.max(axis=1), 0).prod(axis=-1)
    total = (high - low).prod(axis=-1).sum(axis=-1) - common
    crowded[pairs[common > CROWDED_IOU * total]] = True
    return crowded


def check_visibility(labels: LabelSet) -> Iterator[Issue]:
    """Find keypoints labelled never, seldom or always, and visibilities that say nothing."""
    for index, file in enumerate(labels.files):
        visibility = labels.visibility[labels.file == index]
        if not len(visibility):
            continue
        labelled = (visibility > 0).mean(axis=0)
        kinds = [("never_labelled", labelled == 0)]
        if len(visibility) >= MIN_ANNOTATIONS:
            kinds.append(("seldom_labelled", (labelled > 0) & (labelled < SELDOM_FRACTION)))
            if (labelled[labelled > 0] < 1 - OFTEN_MISSING_FRACTION).mean() > 0.5:
                kinds.append(("always_labelled", labelled == 1))
        for code, which in kinds:
            points = np.flatnonzero(which)
            if len(points):
                message = (
                    f"{len(points)} of {len(labelled)} keypoints, over {len(visibility)} "
                    f"annotations: {labels.scheme.names_of(points)}"
                )
                subject = Subject(file=file.name, keypoints=tuple(points.tolist()))
                yield Issue(code, message, subject=subject)
        levels = np.unique(visibility[visibility > 0])
        if len(levels) == 1 and len(visibility) >= MIN_ANNOTATIONS:
            meaning = {1: "hidden", 2: "seen"}[int(levels[0])]
            message = f"every labelled point has visibility {levels[0]}, {meaning}"
            yield Issue("one_visibility", message, subject=Subject(file=file.name))
