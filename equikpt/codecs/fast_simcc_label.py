"""SimCC labels, drawn for all keypoints at once."""

from __future__ import annotations

import numpy as np
from mmpose.codecs import SimCCLabel
from mmpose.registry import KEYPOINT_CODECS


@KEYPOINT_CODECS.register_module()
class FastSimCCLabel(SimCCLabel):
    """MMPose's ``SimCCLabel``: bit-identical labels, the decoding untouched.

    SimCC rounds a point to a whole cell, so all labels of an axis are one Gaussian, shifted: it is
    drawn once and then copied from. Arguments are those of ``SimCCLabel``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        sizes = np.around(np.array(self.input_size) * self.simcc_split_ratio).astype(int)
        self._axes = [
            _ShiftedGaussian(int(size), float(sigma))
            for size, sigma in zip(sizes, self.sigma, strict=True)
        ]

    def _generate_gaussian(
        self, keypoints: np.ndarray, keypoints_visible: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels (N, K, W), (N, K, H) and weights (N, K)."""
        centers, weights = self._map_coordinates(keypoints, keypoints_visible)
        labelled = keypoints_visible >= 0.5
        reaches = np.all(
            [axis.reaches(centers[..., i]) for i, axis in enumerate(self._axes)], axis=0
        )
        weights[labelled & ~reaches] = 0
        drawn = labelled & reaches
        x_labels, y_labels = (
            axis.labels(centers[..., i], drawn) for i, axis in enumerate(self._axes)
        )
        if self.normalize:
            norms = self.sigma * np.sqrt(np.pi * 2)
            x_labels /= norms[0]
            y_labels /= norms[1]
        return x_labels, y_labels, weights


class _ShiftedGaussian:
    """A Gaussian about any whole cell near an axis of ``size`` cells."""

    def __init__(self, size: int, sigma: float) -> None:
        self.radius = 3 * sigma
        self.farthest = size + int(np.ceil(self.radius)) + 1
        offsets = np.arange(-self.farthest, self.farthest + 1, dtype=np.float64)
        self.table = np.exp(-(offsets**2) / (2 * sigma**2)).astype(np.float32)
        self.size = size

    def reaches(self, centers: np.ndarray) -> np.ndarray:
        """Tell for each centre if three sigmas about it touch the axis."""
        return (centers - self.radius < self.size) & (centers + self.radius + 1 >= 0)

    def labels(self, centers: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """(..., size) Gaussians about ``centers`` (...), 0 where they are not ``drawn``."""
        labels = np.zeros((*centers.shape, self.size), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self.table, self.size)
        labels[drawn] = windows[self.farthest - centers[drawn]]
        return labels
