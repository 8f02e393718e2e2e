"""UDP heatmaps, drawn for all keypoints at once."""

from __future__ import annotations

import numpy as np
from mmpose.codecs import UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS

from equikpt.codecs.fast_msra_heatmap import encoded
from equikpt.codecs.gaussian_targets import Window


@KEYPOINT_CODECS.register_module()
class FastUDPHeatmap(UDPHeatmap):
    """MMPose's ``UDPHeatmap``: targets equal to float32 rounding, the decoding untouched.

    Arguments are those of ``UDPHeatmap``. ``heatmap_type="combined"``, and a sigma of which three
    times is no whole number, are left to the stock codec.
    """

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Heatmaps (K, H, W) and weights (1, K) of keypoints (1, K, 2) in px of the input."""
        radius = 3 * self.sigma
        if len(keypoints) != 1 or self.heatmap_type != "gaussian" or radius != int(radius):
            return super().encode(keypoints, keypoints_visible)
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], dtype=np.float32)
        centers = (keypoints / self.scale_factor)[0]
        cells = (centers + 0.5).astype(np.int64)
        window = Window(cells - int(radius), cells + int(radius) + 1)
        return encoded(centers, keypoints_visible, self.heatmap_size, self.sigma, window, window)
