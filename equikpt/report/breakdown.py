"""Where the errors are: by size, visibility, score, side and image.

Errors are distances as fractions of the box's longer side. Letters: N instances, K keypoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.evaluation.functional.keypoint_errors import (
    box_side_px,
    distances_px,
    left_right_inversions,
)
from equikpt.evaluation.functional.keypoint_measures import PosePredictions
from equikpt.report.reliability import RIGHT_WITHIN

SIZE_BINS = 4
SCORE_EDGES = (0.2, 0.4, 0.6, 0.8)
VISIBILITIES = {2: "seen", 1: "hidden"}


@dataclass(frozen=True)
class Spread:
    """The error of one part of the points.

    Args:
        part: What they have in common.
        points: Their number.
        low: First quartile of the error.
        median: Its median.
        high: Third quartile.
        right: Share of them that is right.
    """

    part: str
    points: int
    low: float
    median: float
    high: float
    right: float


@dataclass(frozen=True)
class Pair:
    """The two sides of one keypoint: how often each was found at the other's place.

    Args:
        names: Of both.
        tried: Instances with both labelled.
        exchanged: For each, those in which the prediction misses its own and hits the other.
        both: Those in which this befell both at once.
    """

    names: tuple[str, str]
    tried: int
    exchanged: tuple[int, int]
    both: int

    @property
    def share(self) -> float:
        """Share of inverted ones among all predictions of the two."""
        return sum(self.exchanged) / (2 * self.tried)


@dataclass(frozen=True)
class Instance:
    """One tested animal or person.

    Args:
        index: In the set.
        points: That are labelled.
        error: Mean over them.
        right: Number of them.
        exchanged: Number of them.
        score: Mean over them.
        size_px: Square root of the area.
    """

    index: int
    points: int
    error: float
    right: int
    exchanged: int
    score: float
    size_px: float


def error_fractions(pose: PosePredictions) -> np.ndarray:
    """(N, K) distance from the ground truth by the box's longer side, NaN where unlabelled."""
    distance_px = distances_px(pose.predicted, pose.gt, pose.visibility)
    return distance_px / box_side_px(pose.boxes)[:, None]


def by_visibility(pose: PosePredictions) -> list[Spread]:
    """Seen and hidden points."""
    error = error_fractions(pose)
    parts = [(name, error[pose.visibility == value]) for value, name in VISIBILITIES.items()]
    return _spread(parts)


def by_size(pose: PosePredictions) -> list[Spread]:
    """By the square root of the instance's area, in px: its quarters."""
    error, size_px = error_fractions(pose), np.sqrt(pose.areas)
    inner = np.quantile(size_px, np.linspace(0, 1, SIZE_BINS + 1)[1:-1])
    edges = [0.0, *np.unique(inner.round()), np.inf]
    return _spread(
        [
            (_range(low, high, "{:.0f}"), error[(size_px >= low) & (size_px < high)])
            for low, high in zip(edges[:-1], edges[1:], strict=True)
        ]
    )


def by_score(pose: PosePredictions) -> list[Spread]:
    """By the point's own score."""
    error, edges = error_fractions(pose), [-np.inf, *SCORE_EDGES, np.inf]
    return _spread(
        [
            (_range(low, high, "{:.1f}"), error[(pose.scores >= low) & (pose.scores < high)])
            for low, high in zip(edges[:-1], edges[1:], strict=True)
        ]
    )


def _range(low: float, high: float, digits: str) -> str:
    if high == np.inf:
        return f"from {digits.format(low)}"
    if low <= 0:
        return f"below {digits.format(high)}"
    return f"{digits.format(low)}–{digits.format(high)}"


def _spread(parts: Sequence[tuple[str, np.ndarray]]) -> list[Spread]:
    """Summarise the parts that have a labelled point."""
    found = []
    for name, errors in parts:
        known = errors[np.isfinite(errors)]
        if len(known):
            low, middle, high = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
            right = float((known <= RIGHT_WITHIN).mean())
            found.append(Spread(name, len(known), low, middle, high, right))
    return found


def exchanged_points(pose: PosePredictions, swap: Sequence[int]) -> np.ndarray:
    """(N, K) bool: the prediction misses its keypoint and hits the same one on the other side.

    Args:
        pose: N instances.
        swap: (K,) index of the other side's keypoint.
    """
    return _exchanges(pose, swap) == 1


def _exchanges(pose: PosePredictions, swap: Sequence[int]) -> np.ndarray:
    """:func:`left_right_inversions`: (N, K) 1, 0, or NaN where not both sides are labelled."""
    side_px = box_side_px(pose.boxes)
    return left_right_inversions(pose.predicted, pose.gt, pose.visibility, side_px, swap)


def by_pair(pose: PosePredictions, names: Sequence[str], swap: Sequence[int]) -> list[Pair]:
    """Pairs of sides that are labelled together somewhere, the most often exchanged first."""
    found = _exchanges(pose, swap)
    pairs = []
    for first, second in ((a, b) for a, b in enumerate(swap) if a < b):
        tried = int(np.isfinite(found[:, first]).sum())
        hits = found[:, [first, second]] == 1
        if tried:
            left, right = hits.sum(axis=0).tolist()
            both = int(hits.all(axis=1).sum())
            pairs.append(Pair((names[first], names[second]), tried, (left, right), both))
    return sorted(pairs, key=lambda pair: -pair.share)


def by_instance(pose: PosePredictions, swap: Sequence[int]) -> list[Instance]:
    """Instances with labelled points, the one with the smallest mean error first."""
    error, exchanged = error_fractions(pose), exchanged_points(pose, swap)
    known = np.isfinite(error)
    found = [
        Instance(
            index=index,
            points=int(known[index].sum()),
            error=float(error[index, known[index]].mean()),
            right=int((error[index, known[index]] <= RIGHT_WITHIN).sum()),
            exchanged=int(exchanged[index].sum()),
            score=float(pose.scores[index, known[index]].mean()),
            size_px=float(np.sqrt(pose.areas[index])),
        )
        for index in np.flatnonzero(known.any(axis=1)).tolist()
    ]
    return sorted(found, key=lambda instance: instance.error)
