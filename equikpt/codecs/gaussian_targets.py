"""Gaussian targets of all keypoints at once.

A Gaussian in two dimensions is the product of one in x and one in y, so K heatmaps of H x W cells
take K (H + W) exponentials instead of K H W. Shapes: K keypoints, W columns, H rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """Cells [low, high) of each keypoint's Gaussian, (K, 2) as x, y; may lie outside the map."""

    low: np.ndarray
    high: np.ndarray

    def reaches(self, size: tuple[int, int]) -> np.ndarray:
        """(K,) whether a part of the Gaussian may lie in a map of (W, H) cells, as in MMPose."""
        return np.all((self.low < size) & (self.high >= 0), axis=1)


def heatmaps(
    centers: np.ndarray,
    drawn: np.ndarray,
    size: tuple[int, int],
    sigma: float,
    window: Window | None = None,
) -> np.ndarray:
    """(K, H, W) float32 Gaussians of height 1.

    Args:
        centers: (K, 2) x, y of the peaks, in cells.
        drawn: (K,) whether to draw a keypoint; the others stay 0.
        size: (W, H) in cells.
        sigma: Of the Gaussian, in cells.
        window: Cells outside which a Gaussian is cut off to 0.

    >>> centers, drawn = np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([True, False])
    >>> maps = heatmaps(centers, drawn, size=(3, 2), sigma=1)
    >>> maps.shape, int(maps[0].argmax()), float(maps[1].max())
    ((2, 2, 3), 1, 0.0)
    """
    columns, rows = (
        _profiles(centers[:, axis], size[axis], sigma, window, axis) for axis in (0, 1)
    )
    columns[~drawn] = 0
    return rows[:, :, None] * columns[:, None, :]


def _profiles(
    centers: np.ndarray, length: int, sigma: float, window: Window | None, axis: int
) -> np.ndarray:
    """(K, length) float32 Gaussians along one axis."""
    cells = np.arange(length, dtype=np.float32)
    offsets = cells - centers[:, None].astype(np.float32)
    profiles = np.exp(offsets**2 * np.float32(-1 / (2 * sigma**2)))
    if window is not None:
        low, high = window.low[:, axis, None], window.high[:, axis, None]
        profiles[(cells < low) | (cells >= high)] = 0
    return profiles
