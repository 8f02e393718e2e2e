"""Something in front of the animal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import (
    draw_generator,
    has_points,
    hide_points,
    inside,
    is_cropped,
    labelled,
    points_key,
    require,
    seen,
)

FILLS = ("grey", "noise", "texture")
TEXTURE_TRIES = 10


@TRANSFORMS.register_module()
class RandomOcclusion(BaseTransform):
    """Paste a rectangle over a part of one instance, so that it covers keypoints.

    A visible keypoint is drawn, and a patch is laid over it with the point anywhere in it. All
    visible points under the patch become occluded: their ``keypoints_visibility`` goes from 2 to 1.
    They stay trained (``keypoints_visible`` stays 1), since a limb behind a fence post is still
    where it was.

    A texture is copied from a part of the same image that holds no labelled point: a copied hoof
    would be a second, unlabelled one. Where no such part is found in a few tries, noise is taken.

    It stands anywhere after the points are loaded; after ``TopdownAffine`` it is cheaper, and the
    patch has the intended size in crops of a half too.

    Args:
        prob: Probability of a patch.
        size_range: Minimum and maximum side of the patch, as a fraction of the square root of the
            area of the instance's box (``bbox``, or the whole image where there is none). Width
            and height are drawn independently.
        fills: What patches are made of, each equally likely: ``grey`` (one level), ``noise``
            (independent pixels) or ``texture`` (another part of the image).

    Raises:
        ValueError: An argument out of its range.
    """

    def __init__(
        self,
        prob: float = 0.2,
        size_range: tuple[float, float] = (0.15, 0.35),
        fills: Sequence[str] = FILLS,
    ) -> None:
        low, high = size_range
        require(self, 0 <= prob <= 1, "prob in 0 to 1", prob=prob)
        require(
            self,
            0 < low <= high <= 1,
            "size_range as (min, max), fractions above 0 and up to 1",
            size_range=tuple(size_range),
        )
        require(
            self,
            bool(fills) and set(fills) <= set(FILLS),
            f"fills to name some of {', '.join(FILLS)}",
            fills=list(fills),
        )
        self.prob = prob
        self.size_range = (float(low), float(high))
        self.fills = tuple(fills)

    def transform(self, results: dict) -> dict:
        """Cover a part of the image and mark the points under it, or leave the sample."""
        rng = draw_generator()
        if rng.random() >= self.prob or not has_points(results):
            return results
        points = results[points_key(results)]
        height, width = results["img"].shape[:2]
        candidates = np.argwhere(seen(results) & inside(points, width, height))
        if not len(candidates):
            return results
        n, k = candidates[rng.integers(len(candidates))]
        x0, y0, x1, y1 = self._corners(
            rng, points[n, k], instance_side_px(results, n), width, height
        )
        image = results["img"].copy()
        trained = points[labelled(results)]
        image[y0:y1, x0:x1] = self._patch(rng, results["img"], trained, x1 - x0, y1 - y0)
        results["img"] = image
        hide_points(results, inside(points - (x0, y0), x1 - x0, y1 - y0))
        return results

    def _corners(
        self, rng: np.random.Generator, point: np.ndarray, side_px: float, width: int, height: int
    ) -> tuple[int, int, int, int]:
        """Corners (x0, y0, x1, y1) of a patch over ``point``; x1 and y1 are the first px outside.

        The point is rounded to the pixel that shows it, so that this pixel is always covered.
        """
        column, row = np.floor(point.astype(float) + 0.5).astype(int)
        w, h = (max(1, round(side_px * rng.uniform(*self.size_range))) for _ in range(2))
        left, top = column - rng.integers(w), row - rng.integers(h)
        return max(0, left), max(0, top), min(width, left + w), min(height, top + h)

    def _patch(
        self, rng: np.random.Generator, image: np.ndarray, points: np.ndarray, w: int, h: int
    ) -> np.ndarray:
        """(h, w, channels) pixels of the patch; ``points`` (P, 2) must not be in a texture."""
        fill = self.fills[rng.integers(len(self.fills))]
        if fill == "grey":
            return np.full((h, w, image.shape[2]), rng.integers(256), image.dtype)
        if fill == "texture":
            for _ in range(TEXTURE_TRIES):
                x = rng.integers(image.shape[1] - w + 1)
                y = rng.integers(image.shape[0] - h + 1)
                if not inside(points - (x, y), w, h).any():
                    return image[y : y + h, x : x + w]
        return rng.integers(256, size=(h, w, image.shape[2])).astype(image.dtype)


def instance_side_px(results: dict, n: int) -> float:
    """Square root of the area of instance ``n``'s box, in px of the present image."""
    if results.get("bbox") is None:
        return math.sqrt(math.prod(results["img"].shape[:2]))
    x1, y1, x2, y2 = (float(edge) for edge in results["bbox"][n])
    side_px = math.sqrt(max(1.0, x2 - x1) * max(1.0, y2 - y1))
    if is_cropped(results):
        side_px *= results["input_size"][0] / float(results["bbox_scale"][n][0])
    return side_px
