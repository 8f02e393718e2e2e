"""Instances as MMPose's samples hold them: their scores, and the maps of their keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from equikpt_runtime.instance import Instance as Instance
from equikpt_runtime.instance import Maps as Maps
from equikpt_runtime.instance import predicted_visibility as predicted_visibility

if TYPE_CHECKING:  # reports draw without MMPose
    from mmpose.structures import PoseDataSample


def output_scores(found: Any) -> np.ndarray:
    """Scores (N, K) for users, of ``pred_instances``: probabilities where a checkpoint has a fit.

    Metrics rank by ``keypoint_scores``, the model's own.
    """
    scores = found["keypoint_scores"]
    return np.asarray(found.get("keypoint_probability", scores), float)


def px_per_input_px(metainfo: Mapping[str, Any]) -> float:
    """Side of a px of the model's input, in px of the image: of a sample's ``metainfo``."""
    scale = np.divide(metainfo["input_scale"], metainfo["input_size"])
    return float(np.sqrt(np.prod(scale)))


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
