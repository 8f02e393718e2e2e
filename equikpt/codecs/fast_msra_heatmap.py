"""MSRA heatmaps, drawn for all keypoints at once."""

from __future__ import annotations

import numpy as np
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import KEYPOINT_CODECS

from equikpt.codecs.gaussian_targets import Window, heatmaps


@KEYPOINT_CODECS.register_module()
class FastMSRAHeatmap(MSRAHeatmap):
    """MMPose's ``MSRAHeatmap``: targets equal to float32 rounding, the decoding untouched.

    Arguments are those of ``MSRAHeatmap``. Without ``unbiased`` a sigma of which three times is no
    whole number is left to the stock codec, whose window is lopsided then.
    """

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Heatmaps (K, H, W) and weights (1, K) of keypoints (1, K, 2) in px of the input."""
        radius = 3 * self.sigma
        if len(keypoints) != 1 or (not self.unbiased and radius != int(radius)):
            return super().encode(keypoints, keypoints_visible)
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], dtype=np.float32)
        centers = (keypoints / self.scale_factor)[0]
        if self.unbiased:
            reach, cut = Window(centers - radius, centers + radius + 1), None
        else:
            centers = (centers + 0.5).astype(np.int64)
            reach = cut = Window(centers - int(radius), centers + int(radius) + 1)
        return encoded(centers, keypoints_visible, self.heatmap_size, self.sigma, reach, cut)


def encoded(
    centers: np.ndarray,
    visible: np.ndarray,
    size: tuple[int, int],
    sigma: float,
    reach: Window,
    cut: Window | None,
) -> dict:
    """Heatmaps (K, H, W) and weights (1, K): 0 for a labelled point that is out of reach."""
    labelled = visible[0] >= 0.5
    reaches = reach.reaches(size)
    weights = visible.copy()
    weights[0, labelled & ~reaches] = 0
    maps = heatmaps(centers, labelled & reaches, size, sigma, cut)
    return dict(heatmaps=maps, keypoint_weights=weights)
