"""Predictions on a video, frame after frame, whose animals are tracked and smoothed.

Letters: N and M instances, K keypoints.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from equikpt_runtime.boxes import BOX_AREA_FRACTION, box_area, box_iou, hungarian_match, oks
from equikpt_runtime.clips import Frame
from equikpt_runtime.drawing import has_names
from equikpt_runtime.instance import Instance
from equikpt_runtime.one_euro import OneEuroOptions, PoseSmoother

Found = tuple[Frame, list[Instance]]
"""A frame and the animals in it."""

BoxSource = Callable[[Path, np.ndarray], np.ndarray | None]
"""Function of an image's path and its pixels: (N, 4) or (N, 5) boxes as ``Predictor`` takes
them; None is the whole image."""

MIN_COMMON = 3
"""Keypoints that both poses must be sure of before they are compared by keypoints."""


@dataclass(frozen=True)
class TrackOptions:
    """When two instances are the same animal.

    Args:
        min_similarity: Of an animal and its track, 0 to 1.
        max_age: Frames for which a track waits for its animal.
        min_score: Score from which a keypoint takes part in the comparison.

    Raises:
        ValueError: An option out of its range.
    """

    min_similarity: float = 0.2
    max_age: int = 15
    min_score: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.min_similarity <= 1 or self.max_age < 0:
            raise ValueError(
                "expected min_similarity above 0 and up to 1 and max_age of at least 0, got "
                f"{self.min_similarity:g} and {self.max_age}"
            )


class Streams(Protocol):
    """Model that predicts images as they come: of equikpt, or of this package."""

    batch_size: int

    def stream(
        self, images: Iterable[tuple[np.ndarray, np.ndarray | None]]
    ) -> Iterator[list[Instance]]:
        """Predict the instances of images, which come with their boxes."""
        ...


@dataclass
class _Track:
    number: int
    last: Instance
    last_s: float
    velocity_px_s: np.ndarray
    """(2,) of the animal, px a second."""
    missed: int = 0

    def expected(self, time_s: float) -> Instance:
        """The last instance, moved on to a time."""
        shift = self.velocity_px_s * (time_s - self.last_s)
        return replace(
            self.last, keypoints=self.last.keypoints + shift, box=self.last.box + np.tile(shift, 2)
        )


class Tracker:
    """Numbers the animals of a video, frame after frame.

    An animal goes to the track whose last pose, moved on with its velocity, it is most like
    (:func:`similarities`); the pairs are those with the largest sum (Hungarian method).

    Args:
        sigmas: (K,) fall-off constants of the keypoints.
        options: As named.
    """

    def __init__(self, sigmas: np.ndarray, options: TrackOptions | None = None) -> None:
        self.sigmas = np.asarray(sigmas, float)
        self.options = options or TrackOptions()
        self._tracks: list[_Track] = []
        self._count = 0

    def expected(self, time_s: float) -> list[tuple[Instance, int]]:
        """Return each animal as it should be at a time, and the frames that it was not seen for."""
        return [
            (replace(track.expected(time_s), track=track.number), track.missed)
            for track in self._tracks
        ]

    def __call__(self, instances: Sequence[Instance], time_s: float) -> list[Instance]:
        """Number the instances of the next frame, whose time in s rises from call to call."""
        expected = [track.expected(time_s) for track in self._tracks]
        similarity = similarities(expected, instances, self.sigmas, self.options.min_score)
        pairs = dict((j, i) for i, j in hungarian_match(similarity, self.options.min_similarity))
        for track in self._tracks:
            track.missed += 1
        numbered = []
        for index, instance in enumerate(instances):
            if index in pairs:
                track = self._tracks[pairs[index]]
                self._follow(track, instance, time_s)
            else:
                self._count += 1
                track = _Track(self._count, instance, time_s, np.zeros(2))
                self._tracks.append(track)
            numbered.append(replace(instance, track=track.number))
        self._tracks = [each for each in self._tracks if each.missed <= self.options.max_age]
        return numbered

    def _follow(self, track: _Track, instance: Instance, time_s: float) -> None:
        """Move a track to where its animal is now."""
        moved_px_s = self._displacement(track.last, instance) / (time_s - track.last_s)
        # half of the new: a keypoint's jitter is no motion
        track.velocity_px_s = (track.velocity_px_s + moved_px_s) / 2
        track.last, track.last_s = instance, time_s
        track.missed = 0

    def _displacement(self, before: Instance, now: Instance) -> np.ndarray:
        """(2,) px: the median of the keypoints that both are sure of, or that of the boxes."""
        sure = _sure(before, self.options.min_score) & _sure(now, self.options.min_score)
        if sure.sum() >= MIN_COMMON:
            return np.median(now.keypoints[sure] - before.keypoints[sure], axis=0)
        return (now.box.reshape(2, 2) - before.box.reshape(2, 2)).mean(axis=0)


def similarities(
    first: Sequence[Instance], second: Sequence[Instance], sigmas: np.ndarray, min_score: float
) -> np.ndarray:
    """Compute the similarity of the instances of two lists, (N, M) in 0 to 1.

    The mean of :func:`instance_oks` and :func:`box_iou`: keypoints tell apart animals whose
    boxes are one, and boxes still overlap where an animal moves by more than a keypoint's spread.
    The overlap alone where poses cannot be compared.
    """
    similarity = np.zeros((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            overlap = box_iou(one.box, other.box)
            pose = instance_oks(one, other, sigmas, min_score)
            similarity[i, j] = overlap if pose is None else (overlap + pose) / 2
    return similarity


def instance_oks(
    one: Instance, other: Instance, sigmas: np.ndarray, min_score: float
) -> float | None:
    """COCO's object keypoint similarity over the keypoints that both are sure of.

    The area is that of both boxes, by the fraction of a box that an animal fills. None where these
    keypoints are fewer than ``MIN_COMMON``.
    """
    sure = _sure(one, min_score) & _sure(other, min_score)
    if sure.sum() < MIN_COMMON:
        return None
    apart_px = np.linalg.norm(one.keypoints[sure] - other.keypoints[sure], axis=-1)
    area_px2 = BOX_AREA_FRACTION * (box_area(one.box) + box_area(other.box)) / 2
    each = oks(apart_px[None], np.array([area_px2]), sigmas[sure])
    return float(each.mean())


def _sure(instance: Instance, min_score: float) -> np.ndarray:
    return (instance.scores >= min_score) & np.isfinite(instance.keypoints).all(axis=1)


def predict_frames(
    frames: Iterable[Frame], predictor: Streams, boxes: BoxSource, path: Path
) -> Iterator[Found]:
    """Predict frame by frame; only those are in memory that the model works on.

    Args:
        frames: Of :meth:`.Clip.frames`.
        predictor: The model.
        boxes: Of each frame of the video ``path``.
        path: Of the video.
    """
    waiting: deque[Frame] = deque()

    def views() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for frame in frames:
            waiting.append(frame)
            yield frame.pixels, boxes(path, frame.pixels)

    for instances in predictor.stream(views()):
        yield waiting.popleft(), instances


def track_and_smooth(
    frames: Iterable[Found],
    metainfo: dict,
    track: TrackOptions | None,
    smooth: OneEuroOptions | None,
) -> Iterator[Found]:
    """Number the animals of frames and steady their keypoints.

    Args:
        frames: From :func:`predict_frames`.
        metainfo: MMPose's parsed metainfo.
        track: None numbers nobody, as with points that have no names.
        smooth: None leaves keypoints as they are. What is smoothed has a track.

    Raises:
        ValueError: Smoothing of animals that are not tracked.
    """
    named = has_names(metainfo)
    if smooth is not None and (track is None or not named):
        raise ValueError(
            "expected tracked animals of named keypoints for smoothing; give `track`, or leave out "
            "`smooth`"
        )
    tracker = Tracker(np.asarray(metainfo["sigmas"]), track) if track and named else None
    smoother = PoseSmoother(smooth) if smooth else None
    for frame, instances in frames:
        numbered = tracker(instances, frame.time_s) if tracker else instances
        yield frame, smoother(numbered, frame.time_s) if smoother else numbered
