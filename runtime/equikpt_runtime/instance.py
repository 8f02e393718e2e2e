"""An instance, keypoints and box of one animal, and the maps that its keypoints were read from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Scale(NamedTuple):
    """Scale of an image by a ruler in it.

    Args:
        mm_per_px: Of the image.
        low: Lower end of an interval that holds the scale in at least 90 of 100 cases, by the radii
            of the marks; NaN without them.
        high: Upper end, likewise.
    """

    mm_per_px: float
    low: float = math.nan
    high: float = math.nan


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
        interval: Fewest and most things that there may well be, of a model that counts.
        complete: False where such a model was stopped at its most points.
        scale: Of both marks of a ruler.
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
    interval: tuple[int, int] | None = None
    complete: bool = True
    scale: Scale | None = None

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


def level_index(levels: Sequence[float] | np.ndarray, level: float) -> int:
    """Return the index of a level of probability; between two of ``levels`` the higher one counts.

    Raises:
        ValueError: It is out of range.
    """
    if not 0 < level <= levels[-1]:
        raise ValueError(
            f"expected a level above 0, up to {levels[-1]:g}, got {level}; held-out labels say "
            "nothing beyond"
        )
    return int(np.searchsorted(levels, level - 1e-9))


def points_before(over: np.ndarray, probability: float) -> int:
    """Points of a sequence until it is over with a probability, at most M, from (M + 1,)."""
    return min((over >= probability).nonzero()[0].tolist(), default=len(over) - 1)


def scale_of(marks: np.ndarray, radii: np.ndarray | None, ruler_mm: float) -> Scale:
    """Return the scale by the marks (2, 2) of a ruler, px, with an interval by their radii (2,).

    The distance errs by as much as both marks do together, as if they erred independently and
    along the ruler: on 150 radiographs this held 95 of 100 scales for radii of 90.
    """
    distance_px = float(np.linalg.norm(marks[1] - marks[0]))
    scale = Scale(ruler_mm / distance_px if distance_px else math.inf)
    if radii is None:
        return scale
    reach_px = float(np.hypot(*radii))
    high = ruler_mm / (distance_px - reach_px) if distance_px > reach_px else math.inf
    return scale._replace(low=ruler_mm / (distance_px + reach_px), high=high)


def format_reading(found: Instance) -> str:
    """State what a count or a ruler says; empty for animals."""
    if found.refused:
        return ""
    if not found.complete:
        return f"{len(found.keypoints)} or more"
    if found.interval is not None:
        return "{} ({} to {})".format(len(found.keypoints), *found.interval)
    if found.scale is not None:
        mm_per_px, least, most = found.scale
        interval = f" ({least:.5f} to {most:.5f})" if np.isfinite(most) else ""
        return f"{mm_per_px:.5f} mm/px{interval}"
    return ""
