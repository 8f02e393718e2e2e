"""MMPose's codecs, drawing the targets of all keypoints at once; the decoding is its own.

A Gaussian in two dimensions is the product of one in x and one in y, so K heatmaps of H × W cells
take K (H + W) exponentials instead of K H W. Letters: N instances, K keypoints, W columns, H rows.
"""

from __future__ import annotations

import numpy as np
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS

from equikpt.codecs.pairs import SeparablePairs
from equikpt.codecs.spread import HeatmapSpread, SimCCSpread

Window = tuple[np.ndarray, np.ndarray]
"""First cell of each keypoint's Gaussian and the first behind it, (K, 2) as x, y, on any map."""


def gaussian_heatmaps(
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
    >>> maps = gaussian_heatmaps(centers, drawn, size=(3, 2), sigma=1)
    >>> maps.shape, int(maps[0].argmax()), float(maps[1].max())
    ((2, 2, 3), 1, 0.0)
    """
    profiles = []
    for axis, length in enumerate(size):
        cells = np.arange(length, dtype=np.float32)
        offsets = cells - centers[:, axis, None].astype(np.float32)
        profile = np.exp(offsets**2 * np.float32(-1 / (2 * sigma**2)))
        if window is not None:
            low, high = (limit[:, axis, None] for limit in window)
            profile[(cells < low) | (cells >= high)] = 0
        profiles.append(profile)
    columns, rows = profiles
    columns[~drawn] = rows[~drawn] = 0
    return rows[:, :, None] * columns[:, None, :]


def _encode(
    centers: np.ndarray,
    visible: np.ndarray | None,
    size: tuple[int, int],
    sigma: float,
    reach: Window,
    cut: Window | None,
) -> dict:
    """Heatmaps (K, H, W) and weights (1, K): 0 for a labelled point that is out of reach."""
    weights = np.ones((1, len(centers)), np.float32) if visible is None else visible.copy()
    labelled = weights[0] >= 0.5
    reaches = np.all((reach[0] < size) & (reach[1] >= 0), axis=1)
    weights[0, labelled & ~reaches] = 0
    maps = gaussian_heatmaps(centers, labelled & reaches, size, sigma, cut)
    return dict(heatmaps=maps, keypoint_weights=weights)


@KEYPOINT_CODECS.register_module()
class FastMSRAHeatmap(SeparablePairs, HeatmapSpread, MSRAHeatmap):
    """MMPose's ``MSRAHeatmap``: targets equal to float32 rounding.

    Without ``unbiased`` a sigma of which three times is no whole number is left to the stock codec,
    whose window is lopsided then.
    """

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Heatmaps (K, H, W) and weights (1, K) of keypoints (1, K, 2) in px of the input."""
        radius = 3 * self.sigma
        if len(keypoints) != 1 or (not self.unbiased and radius != int(radius)):
            return super().encode(keypoints, keypoints_visible)
        centers = (keypoints / self.scale_factor)[0]
        if self.unbiased:
            reach, cut = (centers - radius, centers + radius + 1), None
        else:
            centers = (centers + 0.5).astype(np.int64)
            reach = cut = centers - int(radius), centers + int(radius) + 1
        return _encode(centers, keypoints_visible, self.heatmap_size, self.sigma, reach, cut)


@KEYPOINT_CODECS.register_module()
class FastUDPHeatmap(SeparablePairs, HeatmapSpread, UDPHeatmap):
    """MMPose's ``UDPHeatmap``: targets equal to float32 rounding.

    ``heatmap_type="combined"``, and a sigma of which three times is no whole number, are left to
    the stock codec.
    """

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Heatmaps (K, H, W) and weights (1, K) of keypoints (1, K, 2) in px of the input."""
        radius = 3 * self.sigma
        if len(keypoints) != 1 or self.heatmap_type != "gaussian" or radius != int(radius):
            return super().encode(keypoints, keypoints_visible)
        centers = (keypoints / self.scale_factor)[0]
        cells = (centers + 0.5).astype(np.int64)
        window = cells - int(radius), cells + int(radius) + 1
        return _encode(centers, keypoints_visible, self.heatmap_size, self.sigma, window, window)


@KEYPOINT_CODECS.register_module()
class FastSimCCLabel(SimCCSpread, SimCCLabel):
    """MMPose's ``SimCCLabel``: bit-identical labels.

    SimCC rounds a point to a whole cell, so all labels of an axis are one Gaussian, shifted: it is
    drawn once and then copied from.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        sizes = np.around(np.array(self.input_size) * self.simcc_split_ratio).astype(int)
        self._axes = []
        for size, sigma in zip(sizes.tolist(), np.array(self.sigma, float).tolist(), strict=True):
            farthest = size + int(np.ceil(3 * sigma)) + 1
            offsets = np.arange(-farthest, farthest + 1, dtype=np.float64)
            gaussian = np.exp(-(offsets**2) / (2 * sigma**2)).astype(np.float32)
            self._axes.append((size, 3 * sigma, farthest, gaussian))

    def _generate_gaussian(
        self, keypoints: np.ndarray, keypoints_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels (N, K, W), (N, K, H) and weights (N, K)."""
        centers, weights = self._map_coordinates(keypoints, keypoints_visible)
        drawn = keypoints_visible >= 0.5
        for axis, (size, radius, _, _) in enumerate(self._axes):
            center = centers[..., axis]
            drawn = drawn & (center - radius < size) & (center + radius + 1 >= 0)
        weights[(keypoints_visible >= 0.5) & ~drawn] = 0
        labels = []
        for axis, (size, _, farthest, gaussian) in enumerate(self._axes):
            windows = np.lib.stride_tricks.sliding_window_view(gaussian, size)
            label = np.zeros((*drawn.shape, size), np.float32)
            label[drawn] = windows[farthest - centers[drawn][:, axis]]
            if self.normalize:
                label /= self.sigma[axis] * np.sqrt(np.pi * 2)
            labels.append(label)
        return labels[0], labels[1], weights
