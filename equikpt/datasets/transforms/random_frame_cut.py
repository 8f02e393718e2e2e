"""An animal that leaves the frame."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import (
    draw_generator,
    drop_points,
    has_points,
    inside,
    labelled,
    require,
)


@TRANSFORMS.register_module()
class RandomFrameCut(BaseTransform):
    """Cut the image off inside the instance's box, as a photo of a head alone is.

    A window of the box is drawn, and the image ends where the window does, on those sides where the
    window does not reach the box's edge. Points beyond are dropped, and it is remembered that the
    image does not show them: this is what a model learns absence from. ``RandomHalfBodyCrop``, in
    contrast, moves the model's input within the image, whose other parts stay in sight.

    It stands behind the loading of the image and before ``GetBBoxCenterScale``.

    Args:
        prob: Probability of a cut.
        min_size: Shortest side of the window, as a fraction of the box's.
        min_points: Labelled points that stay in the image, or nothing is cut.

    Raises:
        ValueError: An argument out of its range, or a sample of several instances.
    """

    def __init__(self, prob: float = 0.2, min_size: float = 0.3, min_points: int = 1) -> None:
        require(self, 0 <= prob <= 1, "prob in 0 to 1", prob=prob)
        require(self, 0 < min_size <= 1, "min_size above 0, up to 1", min_size=min_size)
        require(self, min_points >= 1, "min_points of at least 1", min_points=min_points)
        self.prob, self.min_size, self.min_points = prob, min_size, min_points

    def transform(self, results: dict) -> dict:
        """Cut ``img``, ``keypoints`` and ``bbox``, or leave the sample."""
        rng = draw_generator()
        if rng.random() >= self.prob or not has_points(results):
            return results
        require(
            self, len(results["bbox"]) == 1, "one instance a sample", bbox=results["bbox"].tolist()
        )
        left, top, right, bottom = self._frame(rng, results["bbox"][0], results["img"].shape[:2])
        if right - left < 2 or bottom - top < 2:
            return results
        points = results["keypoints"] - np.array((left, top), np.float32)
        stay = inside(points, right - left, bottom - top)
        if (stay & labelled(results)).sum() < self.min_points:
            return results
        drop_points(results, ~stay)
        results["img"] = results["img"][top:bottom, left:right]
        results["img_shape"] = results["img"].shape[:2]
        results["keypoints"] = points
        limits = np.array((right - left, bottom - top) * 2, np.float32)
        box = results["bbox"] - np.array((left, top) * 2, np.float32)
        results["bbox"] = np.clip(box, 0, limits - 1).astype(np.float32)
        return results

    def _frame(
        self, rng: np.random.Generator, box: np.ndarray, shape: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what is left of the image, px."""
        low, high = np.asarray(box[:2], float), np.asarray(box[2:], float)
        size = rng.uniform(self.min_size, 1, 2)
        start = rng.uniform(0, 1 - size)
        # a side that would lose little stays as it is, so that many cuts are of one or two sides
        start, end = np.where(start < 0.1, 0, start), np.where(start + size > 0.9, 1, start + size)
        first = np.where(start > 0, np.floor(low + start * (high - low)), 0)
        last = np.where(end < 1, np.ceil(low + end * (high - low)), shape[::-1])
        first, last = np.clip(first, 0, shape[::-1]), np.clip(last, 0, shape[::-1])
        left, top, right, bottom = (int(edge) for edge in (*first, *last))
        return left, top, right, bottom
