"""Boxes and poses compared and paired."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BOX_AREA_FRACTION = 0.53
"""Area of an object as a fraction of its box, where only the box is known.

AP compares errors with the object's area, which in COCO is that of the outline. MMPose assumes
this fraction for COCO's people. One value everywhere keeps scores comparable.
"""


def box_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,), left, top, right and bottom.

    >>> box_iou(np.array([0, 0, 4, 4]), np.array([2, 0, 6, 4]))
    0.3333333333333333
    """
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    common = float(np.prod(np.maximum(high - low, 0)))
    total = box_area(one) + box_area(other) - common
    return common / total if total > 0 else 0.0


def hungarian_match(similarity: np.ndarray, min_similarity: float) -> list[tuple[int, int]]:
    """Pair rows and columns for the largest sum, none below ``min_similarity``.

    Args:
        similarity: (N, M) similarities.
        min_similarity: Least of a pair.

    >>> hungarian_match(np.array([[0.9, 0.8], [0.8, 0.1]]), min_similarity=0.2)
    [(0, 1), (1, 0)]
    """
    import lap  # images of single animals need it not

    # what is below counts nothing, so that it does not decide between the others
    counted = np.where(similarity >= min_similarity, similarity, 0)
    columns, _ = lap.lapjv(-counted.astype(float), extend_cost=True, return_cost=False)
    pairs = [(row, int(column)) for row, column in enumerate(columns) if column >= 0]
    return [pair for pair in pairs if similarity[pair] >= min_similarity]


def box_area(box: np.ndarray) -> float:
    """Area of a box (4,), left, top, right and bottom."""
    return float(np.prod(box[2:4] - box[:2]))


def whole_image(image: np.ndarray) -> np.ndarray:
    """The box (4,) of a whole image (H, W, 3).

    MMPose's data sets clip boxes to the last px, so training saw images this way.
    """
    height, width = image.shape[:2]
    return np.array([0, 0, width - 1, height - 1])


def oks(distance_px: np.ndarray, area_px2: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """COCO's similarity (N, K) of each keypoint on its own: exp(−d² / (2 · area · (2σ)²)).

    Source: https://cocodataset.org/#keypoints-eval; ``area_px2`` (N,) is the squared scale.

    >>> oks(np.array([[0.0, 10.0]]), np.array([10000]), np.array([0.05, 0.05]))
    array([[1.        , 0.60653066]])
    """
    variance = (2 * np.asarray(sigmas, float)) ** 2
    scale = np.asarray(area_px2, float)[:, None] + np.spacing(1)
    return np.exp(-(distance_px**2) / (2 * variance * scale))


def checked_boxes(
    image: np.ndarray, boxes: Sequence | np.ndarray | None, takes_boxes: bool = True
) -> np.ndarray:
    """Return boxes (N, 5) with their scores, as given for an image; the whole image for None.

    Raises:
        ValueError: They are none, or the model does not take any.
    """
    if boxes is None:
        return np.append(whole_image(image), 1.0)[None]
    if not takes_boxes:
        raise ValueError("expected no boxes for a model of whole images; leave them out")
    rows = np.asarray(boxes, float)
    if not rows.size:
        return np.zeros((0, 5))
    if rows.ndim != 2 or rows.shape[1] not in (4, 5) or not np.isfinite(rows).all():
        raise ValueError(
            "expected boxes of shape (N, 4), left, top, right and bottom in px, got "
            f"{rows.tolist() if rows.size < 20 else rows.shape}"
        )
    inverted = (rows[:, 2:4] <= rows[:, :2]).any(axis=1)
    if inverted.any():
        raise ValueError(
            "expected boxes as left, top, right and bottom, got "
            f"{rows[inverted][0].tolist()}, whose right or bottom does not lie beyond its left "
            "or top"
        )
    size_px = image.shape[1::-1]
    if ((rows[:, 2:4] <= 0) | (rows[:, :2] >= size_px)).any():
        raise ValueError(
            f"expected boxes within the image's {size_px[0]} x {size_px[1]} px, got "
            f"{rows[:, :4].tolist()}; give them in px of the image"
        )
    return rows if rows.shape[1] == 5 else np.column_stack([rows, np.ones(len(rows))])
