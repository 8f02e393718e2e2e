"""Images as if printed on rubber, with their points."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import (
    draw_generator,
    drop_points,
    has_points,
    inside,
    points_key,
    require,
)

MAX_STEEPNESS = 0.5
"""Maximum amplitude as a fraction of the smoothness: beyond it the rubber would fold."""
STEPS = 30
"""Each step of the fixed point halves the error at least; 30 leave less than a thousandth px."""


@TRANSFORMS.register_module()
class RandomElastic(BaseTransform):
    """Shift every pixel a little, neighbours alike, and the points with them.

    The transform of albumentations 2.0.8 puts points up to 1.5 px beside the image's. Here a
    point at p of the image lands at the q for which q + shift(q) = p, which a fixed point
    iteration finds.

    It stands behind ``TopdownAffine`` and before ``GenerateTarget``, in training only: the way back
    to the image (``input_center``, ``input_scale``) is deleted.

    Args:
        prob: Probability.
        amplitude_range: Minimum and maximum shift of the pixel that is shifted most, in px.
        smoothness: Sigma of the Gaussian that smooths the shifts, in px.

    Raises:
        ValueError: An option out of its range, or a sample with masks that would stay behind.
    """

    def __init__(
        self,
        prob: float = 0.1,
        amplitude_range: tuple[float, float] = (2.0, 6.0),
        smoothness: float = 20.0,
    ) -> None:
        low, high = amplitude_range
        require(self, 0 <= prob <= 1, "prob in 0 to 1", prob=prob)
        require(
            self,
            0 < low <= high <= MAX_STEEPNESS * smoothness,
            "amplitude_range as (min, max), above 0 and up to half of smoothness",
            amplitude_range=amplitude_range,
            smoothness=smoothness,
        )
        self.prob = prob
        self.amplitude_range = amplitude_range
        self.smoothness = smoothness

    def transform(self, results: dict) -> dict:
        """Move ``img`` (H, W, C) and its points, or leave the sample."""
        rng = draw_generator()
        if rng.random() >= self.prob:
            return results
        if results.get("invalid_segs"):
            raise ValueError(
                "expected a top-down sample for RandomElastic, got one with invalid_segs, which "
                "would stay where they are; leave it out of a bottom-up pipeline"
            )
        height, width = results["img"].shape[:2]
        shift = self._shift(rng, height, width)
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        results["img"] = _shown(results["img"], grid + shift)
        if has_points(results):
            key = points_key(results)
            results[key] = moved_points(results[key], shift)
            drop_points(results, ~inside(results[key], width, height))
        results.pop("input_center", None)
        results.pop("input_scale", None)
        return results

    def _shift(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """(H, W, 2) x and y of where each pixel comes from, relative to itself, in px."""
        noise = rng.uniform(-1, 1, (height, width, 2)).astype(np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), self.smoothness)
        longest = float(np.linalg.norm(smooth, axis=-1).max())
        return smooth * np.float32(rng.uniform(*self.amplitude_range) / longest)


def moved_points(points: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Find where points land if each pixel q shows the image at q + shift(q).

    Args:
        points: (..., 2) x and y in px.
        shift: (H, W, 2) in px; beyond the image that of its border.
    """
    start = np.asarray(points, np.float32)
    moved = start
    for _ in range(STEPS):
        there = _shown(shift, moved.reshape(1, -1, 2), cv2.BORDER_REPLICATE)
        moved = start - there.reshape(start.shape)
    return moved


def _shown(image: np.ndarray, coords: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """(h, w, C) values of an image (H, W, C) at px coords (h, w, 2), bilinearly."""
    columns, rows = coords[..., 0].astype(np.float32), coords[..., 1].astype(np.float32)
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=border)
