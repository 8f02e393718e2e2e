"""Heatmaps of logits, read below the size of a cell."""

from __future__ import annotations

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from scipy.special import softmax

from equikpt.codecs.spread import SoftmaxSpread


@KEYPOINT_CODECS.register_module()
class SoftmaxHeatmap(SoftmaxSpread, BaseKeypointCodec):
    """Gaussian targets for a softmax over all cells; decoding by a local soft-argmax.

    Cell i lies at px i · stride, where convolutions with symmetric padding look, everywhere in the
    image. (UDP stretches the cells so that the outermost ones meet the border, for flip tests;
    a convolution would have to learn an offset that drifts by ``stride`` − 1 px from one side to
    the other.) A target is the whole Gaussian, not cut off, around the exact point. A prediction
    is the expected position within ``radius`` cells of the highest logit; far maxima do not count.

    In the pipeline it needs ``TopdownAffine`` with ``use_udp=False``, whose map is the one that
    MMPose's estimator inverts; with UDP's, results are stretched by 1 / (px − 1) of the input.

    Args:
        input_size: Width and height of the model's input in px.
        heatmap_size: Width and height of the heatmap in cells.
        sigma: Of the Gaussian, in cells.
        radius: Of the square window for decoding, in cells.

    Raises:
        ValueError: A size, sigma or radius that is not above 0.
    """

    label_mapping_table = dict(keypoint_weights="keypoint_weights")
    field_mapping_table = dict(heatmaps="heatmaps")

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 1.5,
        radius: int = 4,
    ) -> None:
        super().__init__()
        if min(*input_size, *heatmap_size) < 2 or not sigma > 0 or radius < 1:
            raise ValueError(
                "expected sizes of at least 2, sigma above 0 and radius of at least 1, got "
                f"input_size={input_size}, heatmap_size={heatmap_size}, sigma={sigma}, "
                f"radius={radius}"
            )
        self.input_size = tuple(input_size)
        self.heatmap_size = tuple(heatmap_size)
        self.sigma = sigma
        self.radius = radius
        self.stride_px = np.array(input_size) / np.array(heatmap_size)

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Draw the targets of one instance.

        Args:
            keypoints: (1, K, 2) in px of the input.
            keypoints_visible: (1, K), 0 for points without a label.

        Returns:
            ``heatmaps`` (K, H, W) float32 of peak 1 at most, zeros for points without a label or
            outside the input, whose ``keypoint_weights`` (1, K) are 0.

        Raises:
            ValueError: Several instances.
        """
        if len(keypoints) != 1:
            raise ValueError(f"expected one instance (top-down), got {len(keypoints)}")
        weights = np.ones(keypoints.shape[:2], np.float32)
        if keypoints_visible is not None:
            weights *= keypoints_visible
        last = np.array(self.input_size) - 1
        weights[0, ((keypoints[0] < 0) | (keypoints[0] > last)).any(axis=1)] = 0
        cells = keypoints[0] / self.stride_px
        across, down = (
            np.exp(-((np.arange(size) - cells[:, axis, None]) ** 2) / (2 * self.sigma**2))
            for axis, size in enumerate(self.heatmap_size)
        )
        heatmaps = down[:, :, None] * across[:, None, :]
        heatmaps[weights[0] == 0] = 0
        return dict(heatmaps=heatmaps.astype(np.float32), keypoint_weights=weights)

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read coords and scores of one instance.

        Args:
            encoded: (K, H, W) logits.

        Returns:
            (1, K, 2) in px of the input, and (1, K) in 0–1: the softmax's probability that the
            point lies within the window.
        """
        count, height, width = encoded.shape
        probability = softmax(encoded.astype(float), axis=(1, 2))
        cells = np.empty((count, 2))
        scores = np.empty(count)
        for index, cells_of_one in enumerate(probability):
            row, column = divmod(int(cells_of_one.argmax()), width)
            top, left = max(row - self.radius, 0), max(column - self.radius, 0)
            window = cells_of_one[top : row + self.radius + 1, left : column + self.radius + 1]
            scores[index] = window.sum()
            y = window.sum(axis=1) @ np.arange(top, top + window.shape[0])
            x = window.sum(axis=0) @ np.arange(left, left + window.shape[1])
            cells[index] = np.array([x, y]) / scores[index]
        return (cells * self.stride_px)[None], np.minimum(scores, 1.0)[None]
