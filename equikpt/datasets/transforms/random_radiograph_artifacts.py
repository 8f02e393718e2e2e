"""Traces that scanners and other devices leave on a radiograph."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import (
    draw_generator,
    has_points,
    labelled,
    points_key,
    require,
)

MAX_TRIES = 10


@TRANSFORMS.register_module()
class RandomRadiographArtifacts(BaseTransform):
    """Draw scanner borders and other rulers into a radiograph, never onto its labelled points.

    - A **border** is a black, gray or white strip along one side or several, as a scanner adds
      where the radiograph ends.
    - A **ruler** is a bright ladder of ticks in any direction, a second scale that is not the one
      to be found.

    Both keep ``clearance`` away from the box around the labelled points. It stands after the crop.

    Args:
        border_prob: Probability of each side's strip.
        border_range: Minimum and maximum width of a strip, as fractions of the input's side.
        ruler_prob: Probability of a ruler.
        ruler_range: Minimum and maximum length of the ruler, as fractions of the shorter side.
        clearance: Fraction of the shorter side that stays as it is around the labelled points.

    Raises:
        ValueError: A probability or fraction out of its range.
    """

    def __init__(
        self,
        border_prob: float = 0.1,
        border_range: tuple[float, float] = (0.01, 0.08),
        ruler_prob: float = 0.2,
        ruler_range: tuple[float, float] = (0.05, 0.25),
        clearance: float = 0.04,
    ) -> None:
        for name, value in (("border_prob", border_prob), ("ruler_prob", ruler_prob)):
            require(self, 0 <= value <= 1, f"{name} in 0 to 1", **{name: value})
        for name, (low, high) in (("border_range", border_range), ("ruler_range", ruler_range)):
            expected = f"{name} as (min, max), fractions above 0 and below 0.5"
            require(self, 0 < low <= high < 0.5, expected, **{name: (low, high)})
        require(self, 0 <= clearance < 0.5, "clearance from 0 to below 0.5", clearance=clearance)
        self.border_prob = border_prob
        self.border_range = border_range
        self.ruler_prob = ruler_prob
        self.ruler_range = ruler_range
        self.clearance = clearance

    def transform(self, results: dict) -> dict:
        """Draw into a copy of ``img`` (H, W, 3) uint8, or leave the sample."""
        rng = draw_generator()
        sides = rng.random(4) < self.border_prob
        with_ruler = rng.random() < self.ruler_prob
        if not (sides.any() or with_ruler):
            return results
        image = results["img"].copy()
        clear = self._clear_box(results, image.shape[:2])
        if with_ruler:
            self._draw_ruler(rng, image, clear)
        for side in np.flatnonzero(sides):
            self._draw_border(rng, image, int(side), clear)
        results["img"] = image
        return results

    def _clear_box(self, results: dict, shape: tuple[int, int]) -> np.ndarray | None:
        """(2, 2) minimum and maximum x and y that stay as they are; None without labels."""
        if not has_points(results):
            return None
        points = results[points_key(results)][labelled(results)]
        if not len(points):
            return None
        margin = self.clearance * min(shape)
        return np.array([points.min(axis=0) - margin, points.max(axis=0) + margin])

    def _draw_border(
        self, rng: np.random.Generator, image: np.ndarray, side: int, clear: np.ndarray | None
    ) -> None:
        axis, at_end = divmod(side, 2)  # 0 left, 1 right, 2 top, 3 bottom
        length = image.shape[1 - axis]
        width = int(rng.uniform(*self.border_range) * length)
        if clear is not None:
            width = min(width, int(length - clear[1, axis] if at_end else clear[0, axis]))
        strip = slice(length - max(width, 0), length) if at_end else slice(0, max(width, 0))
        gray = (0, int(rng.integers(256)), 255)[rng.integers(3)]
        image[(slice(None), strip) if axis == 0 else strip] = gray

    def _draw_ruler(
        self, rng: np.random.Generator, image: np.ndarray, clear: np.ndarray | None
    ) -> None:
        height, width = image.shape[:2]
        short = min(height, width)
        for _ in range(MAX_TRIES):
            angle = rng.uniform(0, 2 * np.pi)
            along = np.array([np.cos(angle), np.sin(angle)])
            across = np.array([-along[1], along[0]]) * rng.uniform(0.005, 0.02) * short
            start = rng.uniform((0, 0), (width, height))
            end = start + along * rng.uniform(*self.ruler_range) * short
            corners = np.array([start, end, start + across, end + across])
            low, high = corners.min(axis=0), corners.max(axis=0)
            if clear is None or not ((high >= clear[0]) & (low <= clear[1])).all():
                break
        else:
            return
        gray = int(rng.integers(120, 256))
        thickness = max(1, round(short / 400))
        for fraction in np.linspace(0, 1, int(rng.integers(4, 22))):
            tick = start + fraction * (end - start)
            _line(image, tick, tick + across, gray, thickness)
        if rng.random() < 0.7:
            _line(image, start, end, gray, thickness)


def _line(image: np.ndarray, start: np.ndarray, end: np.ndarray, gray: int, thickness: int) -> None:
    first, last = (point.round().astype(int).tolist() for point in (start, end))
    cv2.line(image, first, last, (gray,) * 3, thickness, cv2.LINE_AA)
