"""Contents of images, as rows of numbers that add up over any set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.core.coco.checks import has_area, is_box, is_used, visibilities

NUM_BINS = 4
"""Into which instances are sorted by size and by the share of their points that is labelled."""


@dataclass(frozen=True)
class ImageCounts:
    """Contents of N images.

    Args:
        instances: (N, 1) annotations that training uses.
        points: (N, K) labelled points by keypoint.
        hidden: (N, 1) points of visibility 1.
        sizes: (N, 4) instances by size, from the smallest quarter of the set to the largest.
        shares: (N, 4) instances by share of points that is labelled, likewise.
        size_limits_px: (3,) between the quarters: square roots of areas.
        share_limits: (3,) between the quarters.
    """

    instances: np.ndarray
    points: np.ndarray
    hidden: np.ndarray
    sizes: np.ndarray
    shares: np.ndarray
    size_limits_px: np.ndarray
    share_limits: np.ndarray

    def features(self) -> list[np.ndarray]:
        """(N, F) of each kind, by which the balance of parts is judged."""
        return [self.instances, self.points, self.hidden, self.sizes, self.shares]


def count_images(
    images: Sequence[dict], annotations: Sequence[dict], num_keypoints: int
) -> ImageCounts:
    """Count what each image holds.

    Args:
        images: N rows of a COCO file.
        annotations: Its annotations; those without labelled points and crowds count nowhere.
        num_keypoints: K.
    """
    place = {image["id"]: index for index, image in enumerate(images)}
    used = [row for row in annotations if is_used(row)]
    image_of = np.array([place[row["image_id"]] for row in used], int)
    visibility = np.zeros((len(used), num_keypoints), int)
    for index, row in enumerate(used):
        values = visibilities(row)[:num_keypoints]
        visibility[index, : len(values)] = values

    def by_image(rows: np.ndarray) -> np.ndarray:
        total = np.zeros((len(images), rows.shape[1]), int)
        np.add.at(total, image_of, rows)
        return total

    sizes, size_limits_px = _quarters(np.array([instance_size_px(row) for row in used]))
    shares, share_limits = _quarters((visibility > 0).mean(axis=1))
    return ImageCounts(
        instances=by_image(np.ones((len(used), 1), int)),
        points=by_image(visibility > 0),
        hidden=by_image((visibility == 1).sum(axis=1, keepdims=True)),
        sizes=by_image(sizes),
        shares=by_image(shares),
        size_limits_px=size_limits_px,
        share_limits=share_limits,
    )


def instance_size_px(annotation: dict) -> float:
    """Square root of the area, or of the box's where none is stated; 0 without either."""
    if has_area(annotation):
        return float(np.sqrt(annotation["area"]))
    if not is_box(annotation.get("bbox")):
        return 0.0
    _, _, width, height = annotation["bbox"]
    return float(np.sqrt(max(width, 0) * max(height, 0)))


def _quarters(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, 4) in which quarter of all each value lies, equal values in one, and the limits."""
    if not len(values):
        return np.zeros((0, NUM_BINS), int), np.full(NUM_BINS - 1, np.nan)
    limits = np.quantile(values, np.arange(1, NUM_BINS) / NUM_BINS)
    return np.eye(NUM_BINS, dtype=int)[np.searchsorted(limits, values)], limits
