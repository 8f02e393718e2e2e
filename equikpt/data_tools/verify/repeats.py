"""The same object labelled twice, and labels copied from image to image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet, extent_px

SAME_FRACTION = 0.03
"""Mean distance of two annotations' points, as a fraction of their extent, up to which they are of
the same object."""
COMMON_FRACTION = 0.6
"""Least fraction of the points that either labels that both must label."""
MIN_COPIED = 3
"""Points that a copied row must label: one or two may agree by chance."""
COMPARED_AT_ONCE = 20_000


def check_repeats(labels: LabelSet) -> Iterator[Issue]:
    """Compare annotations within each image, and whole rows of keypoints across all images."""
    yield from _same_object(labels)
    yield from _copied(labels)


def _same_object(labels: LabelSet) -> Iterator[Issue]:
    """Each annotation whose points are those of an earlier one on its image, once."""
    repeated: set[int] = set()
    pairs = labels.pairs_on_images()
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        first, second = pairs[start : start + COMPARED_AT_ONCE].T
        xy, other, labelled = labels.xy[first], labels.xy[second], labels.labelled[first]
        common = labelled & labels.labelled[second]
        either = labelled | labels.labelled[second]
        gap = np.linalg.norm(xy - other, axis=-1)
        gap_px = (gap * common).sum(axis=1) / np.maximum(common.sum(axis=1), 1)
        size = np.minimum(extent_px(xy, labelled), extent_px(other, labels.labelled[second]))
        enough = common.sum(axis=1) >= np.maximum(COMMON_FRACTION * either.sum(axis=1), 1)
        for index in np.flatnonzero(enough & (gap_px <= SAME_FRACTION * size)):
            if second[index] in repeated:
                continue
            repeated.add(second[index])
            yield labels.issue(
                "repeated_annotation",
                second[index],
                f"its points lie {gap_px[index]:.1f} px from those of annotation "
                f"{labels.rows[first[index]]['id']} on the same image",
                score=-gap_px[index],
            )


def _copied(labels: LabelSet) -> Iterator[Issue]:
    """Rows of keypoints that are equal to the last digit, on different images."""
    first_with: dict[bytes, int] = {}
    counts = labels.labelled.sum(axis=1)
    for index in np.flatnonzero(counts >= MIN_COPIED).tolist():
        key = labels.xy[index].tobytes() + labels.visibility[index].tobytes()
        first = first_with.setdefault(key, index)
        if labels.images[index] is labels.images[first]:
            continue
        file = labels.files[labels.file[first]].name
        where = "" if labels.file[first] == labels.file[index] else f" of {file}"
        yield labels.issue(
            "copied_labels",
            index,
            f"its keypoints are to the last digit those of annotation {labels.rows[first]['id']} "
            f"on {labels.images[first]['file_name']}{where}",
            score=counts[index],
        )
