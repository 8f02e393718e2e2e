"""How far a model's own output spreads around the point that is read from it.

A peak that stands alone means a point that the model is sure of; a broad one, or a second peak, one
that may lie elsewhere. The measure is the mean distance from the decoded point, weighted by the
output. Letters: K keypoints, W columns, H rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

POWER = 3.0
"""Of a heatmap's values as weights: background that is not quite 0 covers nearly all of the map."""
SIMCC_BETA = 10.0
"""Factor in the softmax of RTMPose's loss, which the logits were trained with."""


def heatmap_spread(weights: np.ndarray, cells: np.ndarray, cell_px: np.ndarray) -> np.ndarray:
    """Mean distance (K,) from a point, px of the input, over a map of weights.

    Args:
        weights: (K, H, W), at least 0; a map without any spreads over all of it.
        cells: (K, 2) x and y of the point, in cells.
        cell_px: (2,) size of a cell, px of the input.
    """
    weights = np.where(weights.sum((1, 2), keepdims=True) > 0, weights, 1.0)
    across, down = (
        (np.arange(size) - cells[:, axis, None]) * cell_px[axis]
        for axis, size in enumerate(weights.shape[:0:-1])
    )
    distance_px = np.hypot(down[:, :, None], across[:, None, :])
    return (weights * distance_px).sum((1, 2)) / weights.sum((1, 2))


def softmax(logits: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Softmax over some axes, in float64."""
    powers = np.exp(np.asarray(logits, float) - logits.max(axis=axes, keepdims=True))
    return powers / powers.sum(axis=axes, keepdims=True)


class HeatmapSpread:
    """Spread of a codec of Gaussian heatmaps."""

    scale_factor: Any  # of the codec that it is mixed into: px a cell

    def spread(self, encoded: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of heatmaps (K, H, W) and decoded points (1, K, 2)."""
        cell_px = np.broadcast_to(np.asarray(self.scale_factor, float), 2)
        weights = np.clip(encoded, 0, None).astype(float) ** POWER
        return heatmap_spread(weights, keypoints[0] / cell_px, cell_px)[None]


class SoftmaxSpread:
    """Spread of a codec whose heatmaps are logits of one softmax."""

    stride_px: np.ndarray

    def spread(self, encoded: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of logits (K, H, W) and decoded points (1, K, 2)."""
        weights = softmax(encoded, (1, 2))
        return heatmap_spread(weights, keypoints[0] / self.stride_px, self.stride_px)[None]


class SimCCSpread:
    """Spread of a codec of two one-dimensional classifications."""

    simcc_split_ratio: float

    def spread(self, along_x: np.ndarray, along_y: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of logits (K, W) and (K, H) and decoded points (1, K, 2)."""
        square_px = np.zeros(keypoints.shape[1])
        for axis, logits in enumerate((along_x, along_y)):
            weights = softmax(SIMCC_BETA * logits, (1,))
            places_px = np.arange(logits.shape[1]) / self.simcc_split_ratio
            mean_px = np.abs(places_px - keypoints[0, :, axis, None])
            square_px += (weights * mean_px).sum(axis=1) ** 2
        return np.sqrt(square_px)[None]
