"""An instance, keypoints and box of one animal, and the maps that its keypoints were read from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


def refusal(novelty: float, limit: float) -> str:
    """State that an image is unlike those of the training; empty up to the limit."""
    if novelty <= limit:
        return ""
    return f"unlike the training images (score {novelty:.2f}, limit {limit:.2f})"
