"""Where the model is to look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from equikpt.apis.detectors import Detector
from equikpt.structures.ground_truth import Labels

BoxSource = Callable[[Path, np.ndarray], np.ndarray | None]
"""Function of an image's path and its pixels: (N, 4) or (N, 5) boxes as ``Predictor`` takes
them; None is the whole image."""


def box_source(
    by_hand: Sequence[Sequence[float]] = (),
    detector: Detector | None = None,
    labels: Labels | None = None,
) -> BoxSource:
    """The boxes given by hand, else of the detector, else of the labels, else whole images."""
    if by_hand:
        boxes = np.asarray(by_hand, float)
        return lambda path, image: boxes
    if detector is not None:
        return lambda path, image: detector(image)
    if labels is not None:
        return lambda path, image: labels.of(path).boxes
    return lambda path, image: None
