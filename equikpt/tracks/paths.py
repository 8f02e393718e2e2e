"""Smoothed paths of the animals of a video, window by window.

A path is smoothed as in :mod:`equikpt.tracks.smoothing`, where the camera moves in the stabilised
frame. Points of a low score and outliers count as gaps; a gap is filled where the smoother is sure
enough. Windows overlap by far more than a path remembers.

Letters: T frames, K keypoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from equikpt.tracks.smoothing import (
    RADIUS_PER_SIGMA,
    find_outliers,
    measurement_sd,
    noise_sd,
    q_of,
    smooth_with_sd,
)
from equikpt.tracks.spool import VALUES, Spool

WINDOW = 2048
"""Frames that are smoothed at once, without their overlaps."""
OVERLAP_S = 1.5
MIN_OVERLAP = 60
OUTLIER_HZ = 6.0
"""Cut-off of the path that outliers are told by: a faster one would go along with them."""
MIN_OUTLIER = 0.035
"""Least distance of an outlier from that path, in the animal's size: a hoof in gallop is up to
0.03 away from it."""
MIN_POINTS = 3
"""Fewest measured points of a window that a keypoint's path is smoothed by."""
STATUS = ("measured", "outlier", "unsure", "filled")
"""Kinds of points by their number: taken; far off the path; of too low a score; not given."""
MEASURED, OUTLIER, UNSURE, FILLED = range(4)


@dataclass(frozen=True)
class PathOptions:
    """Settings of the smoothing.

    Args:
        min_score: Score below which a point counts as a gap.
        cutoff_hz: Frequency that is halved.
        max_sd: Posterior SD up to which gaps are filled, in the animal's size.
    """

    min_score: float = 0.2
    cutoff_hz: float = 10.0
    max_sd: float = 0.02


class Pose(NamedTuple):
    """An animal in one frame; px of the image but for ``still``.

    Args:
        track: Its number.
        box: (5,) where the model looked, and the box's score; NaN in a frame without the animal.
        points: (K, 6) as measured, :data:`~equikpt.tracks.spool.VALUES`.
        still: (K, 2) the measured points in the stabilised frame; None where the camera is still.
        smooth: (K, 2) on the path; NaN in gaps that are not filled.
        radius: (K,) that holds ``smooth`` with a probability of 0.9.
        status: (K,) numbers of :data:`STATUS`.
    """

    track: int
    box: np.ndarray
    points: np.ndarray
    still: np.ndarray | None
    smooth: np.ndarray
    radius: np.ndarray
    status: np.ndarray


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise and size of one animal.

    Args:
        size_px: Typical diagonal of the box around its points.
        scatter: (K,) SD of its points' noise, px.
        typical: (K,) median SD by the radii; NaN where there are none.
    """

    size_px: float
    scatter: np.ndarray
    typical: np.ndarray


@dataclass(eq=False)
class _Part:
    """One animal in a window, from frame ``first`` on: (T, K, 6), (T, 5) and still (T, K, 2)."""

    first: int
    points: np.ndarray
    box: np.ndarray
    still: np.ndarray


class Paths:
    """Smoothed poses of a video.

    Args:
        spool: Its poses.
        to_still: (T, 3, 3) homographies from each frame to the stabilised one; None where the
            camera is still.
        options: As named.
    """

    def __init__(
        self, spool: Spool, to_still: np.ndarray | None, options: PathOptions | None = None
    ) -> None:
        self.spool, self.options = spool, options or PathOptions()
        self.times_s = np.array(spool.times_s)
        self._to_still = to_still
        self.moves = to_still is not None
        """True where poses have points in a stabilised frame."""
        self._step_s = float(np.median(np.diff(self.times_s))) if len(spool) > 1 else 1.0
        self.noise = self._noise()
        """Noise of each animal, by its number."""

    def frames(self) -> Iterator[list[Pose]]:
        """Yield the animals of each frame."""
        overlap = max(MIN_OVERLAP, round(OVERLAP_S / self._step_s))
        for start in range(0, len(self.spool), WINDOW):
            stop = min(start + WINDOW, len(self.spool))
            first, last = max(0, start - overlap), min(stop + overlap, len(self.spool))
            poses: list[list[Pose]] = [[] for _ in range(start, stop)]
            for track, part in sorted(self._parts(first, last).items()):
                for number, pose in self._poses(track, part):
                    if start <= number < stop:
                        poses[number - start].append(pose)
            yield from poses

    def _parts(self, start: int, stop: int) -> dict[int, _Part]:
        rows = self.spool.read(start, stop)
        parts = {}
        for track in np.unique(rows["track"]).tolist():
            own = rows[rows["track"] == track]
            first, at = int(own["frame"][0]), own["frame"] - own["frame"][0]
            count = int(at[-1]) + 1
            points = np.full((count, own["points"].shape[1], len(VALUES)), np.nan)
            box = np.full((count, 5), np.nan)
            points[at], box[at] = own["points"], own["box"]
            still = points[..., :2]
            if self._to_still is not None:
                still = projected(self._to_still[first : first + count], still)
            parts[track] = _Part(first, points, box, still)
        return parts

    def _known(self, part: _Part) -> np.ndarray:
        """(T, K) points that are sure enough to be measured."""
        finite = np.isfinite(part.still).all(axis=-1)
        return finite & ~(part.points[..., 2] < self.options.min_score)

    def _noise(self) -> dict[int, Noise]:
        """Medians over the windows, of which each is in memory once."""
        found: dict[int, list[tuple[float, np.ndarray, np.ndarray]]] = {}
        for start in range(0, len(self.spool), WINDOW):
            parts = self._parts(start, min(start + WINDOW, len(self.spool)))
            for track, part in parts.items():
                known = self._known(part)
                xy = np.where(known[..., None], part.still, np.nan)
                scatter = [noise_sd(xy[:, k]) for k in range(xy.shape[1])]
                radii = np.where(known, part.points[..., 3], np.nan) / RADIUS_PER_SIGMA
                found.setdefault(track, []).append((_size(xy), np.array(scatter), _median(radii)))
        medians = {
            track: [_median(np.array(each)) for each in zip(*rows, strict=True)]
            for track, rows in found.items()
        }
        return {track: Noise(float(size), *rest) for track, (size, *rest) in medians.items()}

    def _poses(self, track: int, part: _Part) -> Iterator[tuple[int, Pose]]:
        """The animal in each frame of a window that has a point of it, with the frame's number."""
        smooth, sd, status = self._smoothed(part, self.noise[track])
        to_image = None
        if self._to_still is not None:
            own = self._to_still[part.first : part.first + len(sd)]
            to_image = np.linalg.inv(own)
            scale = np.sqrt(np.abs(np.linalg.det(own[:, :2, :2])))
            smooth, sd = projected(to_image, smooth), sd / scale[:, None]
        for at in range(len(sd)):
            if np.isfinite(part.box[at, 0]) or np.isfinite(smooth[at]).any():
                yield (
                    part.first + at,
                    Pose(
                        track,
                        part.box[at],
                        part.points[at],
                        None if to_image is None else part.still[at],
                        smooth[at],
                        RADIUS_PER_SIGMA * sd[at],
                        status[at],
                    ),
                )

    def _smoothed(self, part: _Part, noise: Noise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (T, K, 2), SDs (T, K) and status (T, K) of a window, in the stabilised frame."""
        times_s = self.times_s[part.first : part.first + len(part.box)]
        known = self._known(part)
        given = np.isfinite(part.still).all(axis=-1)
        status = np.where(known, MEASURED, np.where(given, UNSURE, FILLED))
        smooth, sd = np.full(part.still.shape, np.nan), np.full(known.shape, np.nan)
        usable = np.flatnonzero((known.sum(axis=0) >= MIN_POINTS) & (noise.size_px > 0))
        if not len(usable):
            return smooth, sd, status
        sigma, q = np.empty((len(known), len(usable))), np.empty(len(usable))
        values = np.empty((len(known), len(usable), 2))
        for row, k in enumerate(usable.tolist()):
            values[:, row], sigma[:, row], q[row] = self._prepared(
                times_s, part, noise, k, known[:, k]
            )
        status[:, usable] = np.where(
            known[:, usable] & (sigma == noise.size_px), OUTLIER, status[:, usable]
        )
        smooth[:, usable], sd[:, usable] = smooth_with_sd(times_s, values, sigma, q)
        told = (status == MEASURED) | (sd <= self.options.max_sd * noise.size_px)
        return np.where(told[..., None], smooth, np.nan), np.where(told, sd, np.nan), status

    def _prepared(
        self, times_s: np.ndarray, part: _Part, noise: Noise, k: int, known: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Values (T, 2), SDs (T,) and q of one keypoint.

        A gap is drawn straight with the animal's size as SD, which is next to nothing, and keeps
        systems with long gaps solvable.
        """
        radii = part.points[:, k, 3] / RADIUS_PER_SIGMA
        has_radii = np.isfinite(noise.typical[k])
        scatter = noise.scatter[k] if np.isfinite(noise.scatter[k]) else 0.01 * noise.size_px
        sigma = measurement_sd(
            len(known), scatter, radii if has_radii else None, float(noise.typical[k])
        )
        sigma = np.where(known & np.isfinite(sigma), sigma, noise.size_px)
        typical = float(np.median(sigma[known]))
        q, slow = (q_of(hz, typical, self._step_s) for hz in (self.options.cutoff_hz, OUTLIER_HZ))
        values = _bridged(times_s, part.still[:, k], known)
        least = MIN_OUTLIER * noise.size_px
        wrong = np.zeros(len(known), bool)  # told without gaps, whose straight lines are no path
        wrong[known] = find_outliers(
            times_s[known], values[known], sigma[known], slow, (least, least)
        )
        if wrong.any() and (known & ~wrong).sum() >= MIN_POINTS:
            sigma = np.where(wrong, noise.size_px, sigma)
            values = _bridged(times_s, part.still[:, k], known & ~wrong)
        return values, sigma, q


def projected(homographies: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (T, K, 2) of T frames by homographies (T, 3, 3)."""
    ones = np.ones((*points.shape[:-1], 1))
    moved = np.concatenate([points, ones], axis=-1) @ homographies.transpose(0, 2, 1)
    return moved[..., :2] / moved[..., 2:]


def _bridged(times_s: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (T, 2) with gaps drawn straight."""
    columns = [np.interp(times_s, times_s[known], each[known]) for each in values.T]
    return np.stack(columns, axis=-1)


def _size(xy: np.ndarray) -> float:
    """Typical diagonal of the box around points (T, K, 2), NaN where unknown."""
    known = xy[np.isfinite(xy).all(axis=2).sum(axis=1) >= 2]
    if not len(known):
        return np.nan
    extent = np.nanmax(known, axis=1) - np.nanmin(known, axis=1)
    return float(np.median(np.hypot(*extent.T)))


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the first axis of what is not NaN, of an even number the lower one."""
    ordered = np.sort(values, axis=0)  # NaN comes last
    middle = np.maximum(np.isfinite(values).sum(axis=0) - 1, 0) // 2
    return np.take_along_axis(ordered, np.expand_dims(middle, 0), axis=0)[0]
