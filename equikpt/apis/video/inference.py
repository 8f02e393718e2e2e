"""Predictions on a video, frame after frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from equikpt.apis.box_source import BoxSource
from equikpt.apis.predictor import Predictor
from equikpt.apis.video.clips import Frame
from equikpt.apis.video.one_euro import OneEuroOptions, PoseSmoother
from equikpt.apis.video.tracking import Tracker, TrackOptions
from equikpt.structures.pose_instance import Instance
from equikpt.visualization.pose import has_names

Found = tuple[Frame, list[Instance]]
"""A frame and the animals in it."""


def predict_frames(
    frames: Iterable[Frame], predictor: Predictor, boxes: BoxSource, path: Path
) -> Iterator[Found]:
    """Each frame with what is found in it; at most ``predictor.batch_size`` are in memory.

    Args:
        frames: Of :meth:`.Clip.frames`.
        predictor: The model.
        boxes: Where to look.
        path: Of the video, for ``boxes``.
    """
    remaining = iter(frames)
    while chunk := list(islice(remaining, predictor.batch_size)):
        pairs = [(frame.pixels, boxes(path, frame.pixels)) for frame in chunk]
        yield from zip(chunk, predictor.stream(pairs), strict=True)


def track_and_smooth(
    frames: Iterable[Found],
    metainfo: dict,
    track: TrackOptions | None,
    smooth: OneEuroOptions | None,
) -> Iterator[Found]:
    """The same frames with numbered animals and steady keypoints.

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
            "expected tracked animals of named keypoints for smoothing; leave out --no-track or "
            "--smooth"
        )
    tracker = Tracker(np.asarray(metainfo["sigmas"]), track) if track and named else None
    smoother = PoseSmoother(smooth) if smooth else None
    for frame, instances in frames:
        known: Sequence[Instance] = tracker(instances, frame.time_s) if tracker else instances
        yield frame, smoother(list(known), frame.time_s) if smoother else list(known)
