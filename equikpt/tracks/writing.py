"""Smoothed poses written as they come: tables, a drawn video, and what is counted of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from equikpt.tracks.paths import MEASURED, STATUS, Paths, Pose
from equikpt.tracks.publishing import Outputs
from equikpt.tracks.tables import FORMATS, TrackTable, as_instance, open_format, write_parquet
from equikpt_runtime.ahead import ahead
from equikpt_runtime.clips import CODECS, Clip, ClipWriter, Frame
from equikpt_runtime.drawing import draw_prediction, draw_tab

FRAMES_AHEAD = 4
"""Frames that are decoded while one is worked on."""
DRAWN_GAP_SCORE = 0.2
"""Score of filled points in drawings, which are hollow."""


class Points(NamedTuple):
    """Names and links of the K keypoints, and their drawing."""

    names: Sequence[str]
    metainfo: dict


@dataclass(eq=False)
class Counts:
    """Animals and points that were written."""

    points: dict[int, Counter[str]] = field(default_factory=dict)
    """By animal and status, and ``bridged`` for those of a gap that were filled."""
    spans: dict[int, list[int]] = field(default_factory=dict)
    """First and last frame of each animal, and the number of those it was seen in."""

    def add(self, number: int, poses: Iterable[Pose]) -> None:
        """Count the animals of a frame."""
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


class Seen(NamedTuple):
    """Measured points of an animal: times, and (k, 2) px of the stabilised frame."""

    times_s: list[float]
    points: list[np.ndarray]

    def add(self, time_s: float, pose: Pose, numbers: Sequence[int]) -> None:
        """Append those of a frame; NaN where one was not measured."""
        chosen = list(numbers)
        own = (pose.points[:, :2] if pose.still is None else pose.still)[chosen]
        self.times_s.append(time_s)
        self.points.append(np.where((pose.status == MEASURED)[chosen, None], own, np.nan))


def write(
    clip: Clip,
    points: Points,
    outputs: Outputs,
    paths: Paths,
    formats: Sequence[str] = (),
    video: bool = False,
    seen: Sequence[int] = (),
) -> tuple[Counts, dict[int, Seen]]:
    """Write the smoothed poses of a video.

    Args:
        clip: The video.
        points: Its animals' keypoints.
        outputs: Places of the files.
        paths: The poses.
        formats: Files to write beside the csv.
        video: Draw them.
        seen: Keypoints that are returned.

    Returns:
        Counts, and of each animal the measured points ``seen`` in the stabilised frame.
    """
    counts, stem = Counts(), outputs.stem
    kept: dict[int, Seen] = {}
    links = points.metainfo["skeleton_links"]
    table_path = outputs.place(f"{stem}.csv")
    with ExitStack() as stack:
        table = stack.enter_context(TrackTable(table_path, points.names, paths.moves))
        others = [
            stack.enter_context(
                open_format(name, _format_place(outputs, name), points.names, links, clip)
            )
            for name in formats
            if name != "parquet"
        ]
        drawing = stack.enter_context(_Drawing(clip, outputs, points)) if video else None
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
            for pose in poses if seen else ():
                kept.setdefault(pose.track, Seen([], [])).add(time_s, pose, seen)
            if drawing:
                drawing.add(poses)
    if "parquet" in formats:
        write_parquet(table_path, _format_place(outputs, "parquet"))
    return counts, kept


def _format_place(outputs: Outputs, name: str) -> Path:
    return outputs.place(f"{name}/{outputs.stem}{FORMATS[name][0]}")


class _Drawing:
    """Video with the smoothed poses, for which the frames are decoded again."""

    def __init__(self, clip: Clip, outputs: Outputs, points: Points) -> None:
        suffix = clip.path.suffix if clip.path.suffix.lower() in CODECS else ".mp4"
        path = outputs.place(f"{outputs.stem}_pose{suffix}")
        self._writer = ClipWriter(path, clip.constant_fps(), clip.size_px)
        self._frames: Iterator[Frame] = ahead(clip.frames(), FRAMES_AHEAD)
        self._metainfo = points.metainfo

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
