"""The same object labelled twice, and labels copied from image to image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet, extent_px

SAME_SHARE = 0.03
"""Mean distance of two annotations' points, as a share of their extent, up to which they are of the
same object."""
COMMON_SHARE = 0.6
"""Share of the points that either labels that both must label."""
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
    pairs = _pairs_on_images(labels)
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        first, second = pairs[start : start + COMPARED_AT_ONCE].T
        gap_px, same = same_objects(labels.xy, labels.labelled, first, second)
        for index in np.flatnonzero(same):
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


def _pairs_on_images(labels: LabelSet) -> np.ndarray:
    """(P, 2) indices of annotations on the same image, the earlier one first."""
    on_image: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, row in enumerate(labels.rows):
        on_image[int(labels.file[index]), row["image_id"]].append(index)
    pairs = [pair for members in on_image.values() for pair in combinations(members, 2)]
    return np.array(pairs, int).reshape(-1, 2)


def same_objects(
    xy: np.ndarray, labelled: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compare P pairs of annotations.

    Args:
        xy: (N, K, 2) px.
        labelled: (N, K).
        first: (P,) indices of annotations.
        second: (P,) of those that they are compared with.

    Returns:
        (P,) mean distance of the points that both label, in px, and (P,) bool, true where that is
        next to nothing over most of the points that either labels.
    """
    common = labelled[first] & labelled[second]
    either = labelled[first] | labelled[second]
    gap = np.linalg.norm(xy[first] - xy[second], axis=-1)
    mean_gap = (gap * common).sum(axis=1) / np.maximum(common.sum(axis=1), 1)
    size = np.minimum(
        extent_px(xy[first], labelled[first]), extent_px(xy[second], labelled[second])
    )
    enough = common.sum(axis=1) >= np.maximum(COMMON_SHARE * either.sum(axis=1), 1)
    return mean_gap, enough & (mean_gap <= SAME_SHARE * size)


def _copied(labels: LabelSet) -> Iterator[Issue]:
    """Rows of keypoints that are equal to the last digit, on different images."""
    first_with: dict[bytes, int] = {}
    for index in range(len(labels)):
        if labels.labelled[index].sum() < MIN_COPIED:
            continue
        key = labels.xy[index].tobytes() + labels.visibility[index].tobytes()
        first = first_with.setdefault(key, index)
        here, there = labels.images[index], labels.images[first]
        if first == index or here is there:
            continue
        where = (
            ""
            if labels.file[first] == labels.file[index]
            else (f" of {labels.files[labels.file[first]].name}")
        )
        yield labels.issue(
            "copied_labels",
            index,
            f"its keypoints are to the last digit those of annotation {labels.rows[first]['id']} "
            f"on {there['file_name']}{where}",
            score=float(labels.labelled[index].sum()),
        )
