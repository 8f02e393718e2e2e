"""An instance, keypoints and box of one animal, and the maps that its keypoints were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mmpose.structures import PoseDataSample


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps that the keypoints of one instance were read from.

    Args:
        heat: (K, h, w) float32, 0 to 1; of SimCC the outer product of both marginals.
        to_image: (2, 3) affine map from cells, x and y, to px of the image.
        along_x: (K, w) of SimCC, 0 to 1; None for heatmaps.
        along_y: (K, h), likewise.
    """

    heat: np.ndarray
    to_image: np.ndarray
    along_x: np.ndarray | None = None
    along_y: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Instance:
    """One animal in one image.

    Args:
        keypoints: (K, 2) x and y in px of the image; NaN where the model gives no such point.
        scores: (K,) in 0 to 1; 0 where the model gives no such point.
        box: (4,) left, top, right and bottom in px of the image: the box that was cropped.
        box_score: Of the detector that gave the box, 0 to 1; 1 for other boxes.
        track: Number of the animal in a video, from 1; None outside of one.
        maps: Source of the keypoints, where it was asked for.
        novelty: Distance from the model's training images; that of a typical image which is like
            them is 1. None where the checkpoint says nothing of them.
        refused: Reason why no keypoint is given; empty where they are.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    box: np.ndarray
    box_score: float = 1.0
    track: int | None = None
    maps: Maps | None = None
    novelty: float | None = None
    refused: str = ""


def maps_of(sample: PoseDataSample, decoder: Any) -> Maps:
    """Read the maps of a sample of ``BoxPredictor(..., maps=True)``.

    Args:
        sample: With ``pred_fields``.
        decoder: The head's codec, which knows how many px of the input a cell stands for.

    Raises:
        ValueError: The model's head has no maps.
    """
    if "pred_fields" not in sample or "heatmaps" not in sample.pred_fields:
        raise ValueError(
            "expected a model with heatmaps or SimCC to draw its maps, this head has none; leave "
            "out overlay"
        )
    heat = np.clip(sample.pred_fields.heatmaps.detach().float().cpu().numpy(), 0, 1)
    cell_px = getattr(decoder, "scale_factor", None)  # in the input; UDP's lie at both edges
    if cell_px is None:
        cell_px = np.array(decoder.input_size, float) / heat.shape[:0:-1]
    # as MMPose's estimators move keypoints from the input to the image
    names = ("input_center", "input_scale", "input_size")
    center, scale, size = (np.asarray(sample.metainfo[name]) for name in names)
    px_per_cell, corner = np.asarray(cell_px) * scale / size, center - 0.5 * scale
    found = sample.pred_instances
    return Maps(
        heat,
        np.array([[px_per_cell[0], 0, corner[0]], [0, px_per_cell[1], corner[1]]]),
        np.clip(found.keypoint_x_labels[0], 0, 1) if "keypoint_x_labels" in found else None,
        np.clip(found.keypoint_y_labels[0], 0, 1) if "keypoint_y_labels" in found else None,
    )
