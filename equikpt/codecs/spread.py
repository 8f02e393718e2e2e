"""Spread of a model's own output around the point that is read from it.

A peak that stands alone means a point that the model is sure of; a broad one, or a second peak, one
that may lie elsewhere. The spread is the radius of a disk as large as the area that the output
covers, the exponential of its entropy. Letters: K keypoints, W columns, H rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from scipy.stats import entropy

POWER = 3.0
"""Exponent of a heatmap's values as weights: background that is not quite 0 covers nearly all of
the map."""
SIMCC_BETA = 10.0
"""Factor in the softmax of RTMPose's loss, which the logits were trained with."""


def disk_radius(entropies: np.ndarray, cell_area: float | np.ndarray) -> np.ndarray:
    """Radius of a disk of exp(entropy) cells, in the unit of the area's root.

    >>> disk_radius(np.log([np.pi, 4 * np.pi]), cell_area=9.0)
    array([3., 6.])
    """
    return np.sqrt(np.exp(entropies) * cell_area / np.pi)


class HeatmapSpread:
    """Spread of a codec of Gaussian heatmaps."""

    scale_factor: Any  # of the codec that it is mixed into: px a cell

    def spread(self, encoded: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of heatmaps (K, H, W); an empty one spreads over all of it."""
        weights = np.clip(encoded.reshape(len(encoded), -1), 0, None).astype(float) ** POWER
        weights[weights.sum(axis=1) == 0] = 1
        return disk_radius(
            entropy(weights, axis=1), np.prod(np.broadcast_to(self.scale_factor, 2))
        )[None]


class SoftmaxSpread:
    """Spread of a codec whose heatmaps are logits of one softmax."""

    stride_px: np.ndarray

    def spread(self, encoded: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of logits (K, H, W)."""
        weights = softmax(encoded.reshape(len(encoded), -1).astype(float), axis=1)
        return disk_radius(entropy(weights, axis=1), np.prod(self.stride_px))[None]


class SimCCSpread:
    """Spread of a codec of two one-dimensional classifications."""

    simcc_split_ratio: float

    def spread(self, along_x: np.ndarray, along_y: np.ndarray) -> np.ndarray:
        """(1, K) px of the input, of logits (K, W) and (K, H)."""
        entropies = sum(
            entropy(softmax(SIMCC_BETA * logits.astype(float), axis=1), axis=1)
            for logits in (along_x, along_y)
        )
        return disk_radius(entropies, self.simcc_split_ratio**-2)[None]
