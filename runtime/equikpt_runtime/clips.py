"""Videos in and out through OpenCV, a frame at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from equikpt_runtime.files import refuse_existing

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Codecs by container; OpenCV's own MJPG needs no encoder of the system."""

VIDEO_SUFFIXES = (*CODECS, ".mpeg", ".mpg", ".mts", ".webm", ".wmv")
"""Endings of the files that are taken as videos."""

FALLBACK = ".avi"

DEFAULT_FPS = 25.0
"""Frames a second of a video whose header states none."""

ROUNDED_S = 0.00051
"""Greatest error of a container's time of a frame: Matroska's are whole milliseconds."""

MAX_FPS = 240.0
"""Greatest rate of a video that shows frames of a variable rate for their time."""


class Frame(NamedTuple):
    """One frame: (H, W, 3) uint8, BGR, and its time since the first one, which always rises."""

    pixels: np.ndarray
    time_s: float


class FrameTimes:
    """Times of a capture's frames as OpenCV states them; those that it does not know are mended.

    OpenCV's own are those of the container with FFmpeg alone (0 where it has none), and there to
    the last digit. What is within ``ROUNDED_S`` of a constant rate is of that rate.
    """

    def __init__(self, capture: cv2.VideoCapture, fps: float) -> None:
        self._capture = capture
        self._fps = fps
        self._has_times = capture.isOpened() and capture.getBackendName() == "FFMPEG"
        self._number = -1
        self._first_s = 0.0
        self._last_s = -math.inf
        self.unknown = 0

    def next_s(self) -> float:
        """Time of the frame that was just read, in s; where unknown, one frame after the last."""
        self._number += 1
        stated_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._number == 0:
            self._first_s, self._last_s = stated_s, 0.0
            return 0.0
        time_s = stated_s - self._first_s
        constant_s = self._number / self._fps
        if abs(time_s - constant_s) <= ROUNDED_S:
            time_s = constant_s
        if not self._has_times or not time_s > self._last_s:
            self.unknown += 1
            time_s = self._last_s + 1 / self._fps
            if self.unknown == self._number:  # of none so far: no sum of rounded parts
                time_s = constant_s
        self._last_s = time_s
        return time_s


@dataclass(frozen=True)
class Clip:
    """A video file.

    Args:
        path: File.
        fps: Frames a second.
        size_px: Width and height of a frame, after the rotation that the file states.
        count: Frames as the header says, which may be wrong, and is a guess from the length where
            the rate is variable; 0 where it says nothing.
        untimed: True where the file has no times, so that they are the frame's number by ``fps``.
    """

    path: Path
    fps: float
    size_px: tuple[int, int]
    count: int
    untimed: bool = False

    @classmethod
    def open(cls, path: Path) -> Clip:
        """Read a video's header and its first two frames.

        Raises:
            FileNotFoundError: No such file.
            OSError: OpenCV finds no frame in it.
        """
        if not path.is_file():
            raise FileNotFoundError(f"expected a video at {path}, found no such file")
        capture = cv2.VideoCapture(str(path))
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        if not (np.isfinite(fps) and 0 < fps <= 1000):
            fps, count = DEFAULT_FPS, 0
        times = FrameTimes(capture, fps)
        try:
            found, frame = capture.read()
            times.next_s()
            if capture.grab():
                times.next_s()
        finally:
            capture.release()
        if not found:
            raise OSError(
                f"expected a video in {path}, OpenCV reads no frame of it; convert it with ffmpeg "
                f"-i {path.name} -c:v libx264 new.mp4"
            )
        return cls(path, fps, frame.shape[1::-1], count, times.unknown > 0)

    def frames(self) -> Iterator[Frame]:
        """Each frame; none is kept."""
        capture = cv2.VideoCapture(str(self.path))
        times = FrameTimes(capture, self.fps)
        try:
            while True:
                found, pixels = capture.read()
                if not found:
                    return
                yield Frame(pixels, times.next_s())
        finally:
            capture.release()

    def constant_fps(self) -> float:
        """Frames a second of a video of constant rate that shows each frame at its time.

        ``fps`` where it does so to half a frame, else the rate of the shortest time between two
        frames. Reads the whole file once, without making images of it.
        """
        capture = cv2.VideoCapture(str(self.path))
        times, times_s = FrameTimes(capture, self.fps), []
        while capture.grab():
            times_s.append(times.next_s())
        capture.release()
        if (np.abs(np.multiply(times_s, self.fps) - np.arange(len(times_s))) <= 0.5).all():
            return self.fps
        return round(min(1 / np.diff(times_s).min(), MAX_FPS), 2)


class ClipWriter:
    """Writes a video in a ``with`` block; it appears under its name when the block ends well.

    Where OpenCV has no encoder for the container, the video is written as MJPG in an ``.avi`` of
    the same name: see ``path``.

    Args:
        path: Video to write.
        fps: Frames a second.
        size_px: Width and height of a frame; of an odd one OpenCV leaves the last px out.
        overwrite: Replace a video that exists.

    Raises:
        ValueError: A suffix that is not in ``CODECS``.
        FileExistsError: The video exists and ``overwrite`` is not set.
        OSError: OpenCV can write none at all here.
    """

    def __init__(
        self, path: Path, fps: float, size_px: tuple[int, int], overwrite: bool = False
    ) -> None:
        check_clip_name(path)
        self.size_px = size_px
        self.fps = fps
        self._slots = 0
        self._last: np.ndarray | None = None
        self._last_s = self._gap_s = 0.0
        for candidate in dict.fromkeys((path, path.with_suffix(FALLBACK))):
            refuse_existing(candidate, overwrite)
            candidate.parent.mkdir(parents=True, exist_ok=True)
            part = candidate.with_name(f".{candidate.stem}.{os.getpid()}.part{candidate.suffix}")
            codec = CODECS[candidate.suffix.lower()]
            writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*codec), fps, size_px)
            if writer.isOpened():
                self.path, self.codec, self._part, self._writer = candidate, codec, part, writer
                return
            part.unlink(missing_ok=True)
        raise OSError(
            f"expected OpenCV to write {path} or {FALLBACK}, it can do neither; see that "
            f"{path.parent} can be written to and has room"
        )

    @property
    def written_px(self) -> tuple[int, int]:
        """Width and height of what the file holds."""
        width, height = self.size_px
        return width - width % 2, height - height % 2

    def write(self, frame: np.ndarray, time_s: float | None = None) -> None:
        """Append a frame (H, W, 3) uint8, BGR, which must not be changed afterwards.

        Until ``time_s`` the frame before is repeated; None shows that for one ``fps``-th.

        Raises:
            ValueError: Its size is not that of the video: OpenCV would drop it without a word.
        """
        if frame.shape[1::-1] != tuple(self.size_px):
            raise ValueError(
                f"expected frames of {self.size_px[0]} x {self.size_px[1]} px, got "
                f"{frame.shape[1]} x {frame.shape[0]}"
            )
        if time_s is not None:
            self._repeat(time_s)
            self._gap_s, self._last_s = time_s - self._last_s, time_s
        self._writer.write(frame)
        self._slots += 1
        self._last = frame

    def _repeat(self, until_s: float) -> None:
        """Show the last frame until a time."""
        while self._last is not None and self._slots < round(until_s * self.fps):
            self._writer.write(self._last)
            self._slots += 1

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is None:  # the last frame is shown for as long as the one before it
            self._repeat(self._last_s + self._gap_s)
        self._writer.release()
        if kind is None:
            os.replace(self._part, self.path)
        self._part.unlink(missing_ok=True)


def find_videos(given: Iterable[Path]) -> list[Path]:
    """List given videos, and those in given folders.

    Raises:
        FileNotFoundError: No such file, or a folder without videos.
    """
    found: list[Path] = []
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
        if not inside or not inside[0].is_file():
            raise FileNotFoundError(f"expected a video at {path}, found none")
        found += inside
    return found


def check_clip_name(path: Path) -> None:
    """Raise ``ValueError`` for a file name that is no video's."""
    if path.suffix.lower() not in CODECS:
        raise ValueError(
            f"expected a video file with one of {', '.join(CODECS)}, got {str(path)!r}"
        )
