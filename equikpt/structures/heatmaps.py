"""Heatmaps of a prediction, and where their cells lie in the image."""

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


def maps_of(sample: PoseDataSample, decoder: Any) -> Maps:
    """The maps of a sample of ``BoxPredictor(..., maps=True)``.

    Args:
        sample: With ``pred_fields``.
        decoder: The head's codec, which knows how many px of the input a cell stands for.

    Raises:
        ValueError: The model's head has no maps.
    """
    if "pred_fields" not in sample or "heatmaps" not in sample.pred_fields:
        raise ValueError(
            "expected a model with heatmaps or SimCC to draw its maps, this head has none; leave "
            "out --overlay"
        )
    heat = np.clip(sample.pred_fields.heatmaps.detach().float().cpu().numpy(), 0, 1)
    found = sample.pred_instances
    return Maps(
        heat,
        _to_image(sample.metainfo, _input_px_per_cell(decoder, heat.shape[:0:-1])),
        np.clip(found.keypoint_x_labels[0], 0, 1) if "keypoint_x_labels" in found else None,
        np.clip(found.keypoint_y_labels[0], 0, 1) if "keypoint_y_labels" in found else None,
    )


def _input_px_per_cell(decoder: Any, size: tuple[int, ...]) -> np.ndarray:
    """(2,) of a map of ``size``, width and height: UDP's cells lie at both edges, others do not."""
    stated = getattr(decoder, "scale_factor", None)
    return np.array(decoder.input_size, float) / size if stated is None else np.asarray(stated)


def _to_image(metainfo: dict, input_px_per_cell: np.ndarray) -> np.ndarray:
    """As MMPose's estimators move keypoints from the input to the image."""
    center, scale = np.asarray(metainfo["input_center"]), np.asarray(metainfo["input_scale"])
    px_per_cell = input_px_per_cell * scale / np.asarray(metainfo["input_size"])
    corner = center - 0.5 * scale
    return np.array([[px_per_cell[0], 0, corner[0]], [0, px_per_cell[1], corner[1]]])
