"""An instance: keypoints and box of one animal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equikpt.structures.heatmaps import Maps


@dataclass(frozen=True, eq=False)
class Instance:
    """One animal in one image.

    Args:
        keypoints: (K, 2) x and y in px of the image; NaN where the model gives no such point.
        scores: (K,) in 0 to 1; 0 where the model gives no such point.
        box: (4,) left, top, right and bottom in px of the image: where the model looked.
        box_score: Of the detector that gave the box, 0 to 1; 1 for other boxes.
        track: Number of the animal in a video, from 1; None outside of one.
        maps: What the keypoints were read from, where they were asked for.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    box: np.ndarray
    box_score: float = 1.0
    track: int | None = None
    maps: Maps | None = None
