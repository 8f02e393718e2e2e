"""An instance, keypoints and box of one animal, and the maps that its keypoints were read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # reports draw without MMPose
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
        scores: (K,) in 0 to 1; 0 where the model gives no such point. With a ``radius`` they are
            probabilities of lying within the keypoint's OKS tolerance.
        box: (4,) left, top, right and bottom in px of the image: the box that was cropped.
        box_score: Of the detector that gave the box, 0 to 1; 1 for other boxes.
        track: Number of the animal in a video, from 1; None outside of one.
        maps: Source of the keypoints, where it was asked for.
        radius: (K,) px of the image, that hold the keypoint with the predictor's ``level`` of
            probability; None where the checkpoint has no fit (:class:`Uncertainty`).
        presence: (K,) probability that the keypoint is in the image; None where the model has no
            ``VisibilityBranch``.
        seen: (K,) probability that one in the image is seen, not hidden; None likewise.
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
    radius: np.ndarray | None = None
    presence: np.ndarray | None = None
    seen: np.ndarray | None = None
    novelty: float | None = None
    refused: str = ""

    @property
    def visibility(self) -> np.ndarray:
        """COCO's visibility (K,) of :func:`predicted_visibility`."""
        return predicted_visibility(self.scores.shape, self.presence, self.seen)


def predicted_visibility(
    shape: tuple[int, ...], presence: np.ndarray | None, seen: np.ndarray | None
) -> np.ndarray:
    """COCO's visibility of keypoints: 0 more likely not in the image, 1 hidden, 2 seen.

    Args:
        shape: (…, K) of the result.
        presence: (…, K) probability of being in the image; None stands for 1.
        seen: (…, K) probability of being seen there; None stands for 1.

    >>> predicted_visibility((3,), np.array([0.9, 0.9, 0.1]), np.array([0.8, 0.2, 0.8]))
    array([2, 1, 0])
    """
    visibility = np.full(shape, 2)
    if seen is not None:
        visibility[np.asarray(seen) < 0.5] = 1
    if presence is not None:
        visibility[np.asarray(presence) < 0.5] = 0
    return visibility


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
