"""A video becomes a table: its animals followed, their paths smoothed, and all of it written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from equikpt.tracks.following import Detector, Follower, FollowOptions
from equikpt.tracks.paths import STATUS, PathOptions, Paths, Pose
from equikpt.tracks.publishing import Outputs
from equikpt.tracks.spool import Spool
from equikpt.tracks.tables import (
    FORMATS,
    TrackTable,
    as_instance,
    check_format,
    open_format,
    write_parquet,
)
from equikpt_runtime.ahead import ahead
from equikpt_runtime.clips import CODECS, Clip, ClipWriter, Frame
from equikpt_runtime.drawing import draw_prediction, draw_tab
from equikpt_runtime.instance import Instance

FRAMES_AHEAD = 4
"""Frames that are decoded while the model works on one."""
DRAWN_GAP_SCORE = 0.2
"""Score of filled points in drawings, which are hollow."""


class Model(Protocol):
    """Model of named keypoints that takes boxes: of equikpt, or exported."""

    metainfo: dict
    names: tuple[str, ...]

    def __call__(self, images: np.ndarray, boxes: np.ndarray) -> list[Instance]:
        """Predict the instances of an image (H, W, 3) uint8, BGR, in boxes (N, 4)."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Settings of :func:`track_video`.

    Args:
        follow: Of the following.
        paths: Of the smoothing.
        formats: Files to write beside the csv, of :data:`~equikpt.tracks.tables.FORMATS`.
        video: Write a video with the smoothed poses.
    """

    follow: FollowOptions = field(default_factory=FollowOptions)
    paths: PathOptions = field(default_factory=PathOptions)
    formats: Sequence[str] = ()
    video: bool = False


@dataclass(eq=False)
class _Tracked:
    """First pass over a video: poses on disk, and what went wrong."""

    spool: Spool
    follower: Follower
    problems: list[str]


def track_video(
    clip: Clip,
    model: Model,
    outputs: Outputs,
    settings: TrackSettings,
    by_hand: np.ndarray | None = None,
    detector: Detector | None = None,
) -> tuple[list[str], list[str]]:
    """Track the animals of a video and write its files.

    Args:
        clip: The video.
        model: Finds the keypoints.
        outputs: Places of the files.
        settings: As named.
        by_hand: (N, 4) boxes of the first frame, px; None stands for the detector's, or for the
            whole image.
        detector: Finds boxes; None where there is none.

    Returns:
        Lines on what could not be read or found, and other lines.

    Raises:
        ImportError: A format whose library is missing.
        OSError: The files cannot be written.
    """
    for name in settings.formats:
        check_format(name)
    follower = Follower(
        np.asarray(model.metainfo["sigmas"]), clip.fps, by_hand, detector, settings.follow
    )
    try:
        outputs.part.mkdir(parents=True, exist_ok=True)
        with Spool(outputs.part, len(model.names)) as spool:
            _follow(clip, model, follower, spool)
            paths = Paths(spool, None, settings.paths)
            counts = _write(clip, model, outputs, settings, paths)
            found = _Tracked(spool, follower, _problems(clip, spool, counts))
            outputs.finish(_statement(clip, found, counts))
    finally:
        outputs.discard()
    return found.problems, _lines(clip, found, counts)


def _follow(clip: Clip, model: Model, follower: Follower, spool: Spool) -> None:
    """Predict frame by frame, each in the boxes that the frame before expects."""
    frames = ahead(clip.frames(), FRAMES_AHEAD)
    for frame in tqdm(frames, clip.path.name, clip.count or None, unit="frame", disable=None):
        boxes = follower.boxes(frame)
        instances = model(frame.pixels, boxes) if len(boxes) else []
        spool.add(frame.time_s, follower.take(instances, frame.time_s))


@dataclass(eq=False)
class _Counts:
    """Animals and points that were written."""

    points: dict[int, Counter[str]] = field(default_factory=dict)
    """By animal and status, and ``bridged`` for those of a gap that were filled."""
    spans: dict[int, list[int]] = field(default_factory=dict)
    """First and last frame of each animal, and the number of those it was seen in."""

    def add(self, number: int, poses: Iterable[Pose]) -> None:
        for pose in poses:
            counts = self.points.setdefault(pose.track, Counter())
            span = self.spans.setdefault(pose.track, [number, number, 0])
            given = np.isfinite(pose.points[:, 0])
            known = np.isfinite(pose.smooth[:, 0])
            for status, name in enumerate(STATUS):
                counts[name] += int(((pose.status == status) & (given | known)).sum())
            counts["bridged"] += int(((pose.status > 0) & known).sum())
            span[1] = number
            span[2] += int(np.isfinite(pose.box[0]))


def _write(
    clip: Clip, model: Model, outputs: Outputs, settings: TrackSettings, paths: Paths
) -> _Counts:
    """Write the smoothed poses as they come."""
    counts, stem = _Counts(), outputs.stem
    links = model.metainfo["skeleton_links"]
    table_path = outputs.place(f"{stem}.csv")
    with ExitStack() as stack:
        table = stack.enter_context(TrackTable(table_path, model.names, moves=False))
        others = [
            stack.enter_context(
                open_format(name, _format_place(outputs, name), model.names, links, clip)
            )
            for name in settings.formats
            if name != "parquet"
        ]
        drawing = stack.enter_context(_Drawing(clip, outputs, model)) if settings.video else None
        frames = tqdm(
            zip(paths.times_s.tolist(), paths.frames(), strict=True),
            f"{clip.path.name}, smoothed",
            len(paths.times_s),
            unit="frame",
            delay=5,
            disable=None,
        )
        for number, (time_s, poses) in enumerate(frames):
            table.add_frame(number, poses, time_s)
            for each in others:
                each.add(number, poses, time_s)
            counts.add(number, poses)
            if drawing:
                drawing.add(poses)
    if "parquet" in settings.formats:
        write_parquet(table_path, _format_place(outputs, "parquet"))
    return counts


def _format_place(outputs: Outputs, name: str) -> Path:
    return outputs.place(f"{name}/{outputs.stem}{FORMATS[name][0]}")


class _Drawing:
    """Video with the smoothed poses, for which the frames are decoded again."""

    def __init__(self, clip: Clip, outputs: Outputs, model: Model) -> None:
        suffix = clip.path.suffix if clip.path.suffix.lower() in CODECS else ".mp4"
        path = outputs.place(f"{outputs.stem}_pose{suffix}")
        self._writer = ClipWriter(path, clip.constant_fps(), clip.size_px)
        self._frames: Iterator[Frame] = ahead(clip.frames(), FRAMES_AHEAD)
        self._metainfo = model.metainfo

    def add(self, poses: Sequence[Pose]) -> None:
        """Draw the next frame."""
        frame = next(self._frames)
        image = frame.pixels
        for pose in poses:
            instance = as_instance(pose, DRAWN_GAP_SCORE)
            image = draw_tab(draw_prediction(image, instance, self._metainfo), instance)
        self._writer.write(image, frame.time_s)

    def __enter__(self) -> _Drawing:
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self._writer.__exit__(kind, *rest)


def _problems(clip: Clip, spool: Spool, counts: _Counts) -> list[str]:
    """Sentences on what could not be read or found."""
    problems = []
    if not counts.points:
        problems.append(f"{clip.path}: no animal was found in {len(spool)} frames")
    last_s = spool.times_s[-1] if len(spool) else 0.0
    # of a variable rate the header's number is a guess: what counts is that the end is there
    if clip.count > len(spool) and clip.count / clip.fps - last_s > 1.5 / clip.fps:
        problems.append(
            f"{clip.path}: its header promises {clip.count} frames, {len(spool)} could be read"
        )
    return problems


def _statement(clip: Clip, found: _Tracked, counts: _Counts) -> dict[str, Any]:
    """State what was done, in plain values."""
    times_s, lost = found.spool.times_s, found.follower.lost
    animals = []
    for number, points in counts.points.items():
        first, last, seen = counts.spans[number]
        span = dict(first_s=round(times_s[first], 6), last_s=round(times_s[last], 6))
        animals.append(dict(animal=number, frames=seen, **span, points=dict(points)))
    return dict(
        video=clip.path.name,
        frames=len(times_s),
        fps=clip.fps,
        size_px=list(map(int, clip.size_px)),
        has_times=not clip.untimed,
        animals=animals,
        frames_with=dict(refused=lost.refused, unsure=lost.unsure, merged=lost.merged),
        problems=found.problems,
    )


def _lines(clip: Clip, found: _Tracked, counts: _Counts) -> list[str]:
    """Sentences on what was done."""
    lost, total = found.follower.lost, sum(counts.points.values(), Counter())
    count = len(counts.points)
    lines = [
        f"{clip.path}: {count} animal{'s' * (count != 1)} in {len(found.spool)} frames; "
        f"{total['measured']} points measured, {total['outlier']} outliers, {total['unsure']} "
        f"unsure, {total['bridged']} of gaps filled"
    ]
    for what, frames in (
        ("refused a pose as unlike the training", lost.refused),
        ("lost an animal", lost.unsure),
        ("had two boxes upon one animal, of which one was dropped", lost.merged),
    ):
        if frames:
            lines.append(f"{clip.path}: {frames} of {len(found.spool)} frames {what}")
    if clip.untimed:
        lines.append(
            f"{clip.path}: the file has no times of its frames; taken as {clip.fps:g} a second"
        )
    return lines
