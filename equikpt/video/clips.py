"""Videos in and out through OpenCV, a frame at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from equikpt.files import refuse_existing

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""What is written into a container; OpenCV's own MJPG needs no encoder of the system."""

FALLBACK = ".avi"

DEFAULT_FPS = 25.0
"""Of a video whose header states none."""


@dataclass(frozen=True)
class Clip:
    """A video file.

    Args:
        path: File.
        fps: Frames a second.
        size_px: Width and height of a frame, after the rotation that the file states.
        count: Frames as the header says, which may be wrong; 0 where it says nothing.
    """

    path: Path
    fps: float
    size_px: tuple[int, int]
    count: int

    @classmethod
    def open(cls, path: Path) -> Clip:
        """Read a video's header and its first frame.

        Raises:
            FileNotFoundError: No such file.
            OSError: OpenCV finds no frame in it.
        """
        if not path.is_file():
            raise FileNotFoundError(f"expected a video at {path}, found no such file")
        capture = cv2.VideoCapture(str(path))
        try:
            fps = float(capture.get(cv2.CAP_PROP_FPS))
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            found, frame = capture.read()
        finally:
            capture.release()
        if not found:
            raise OSError(
                f"expected a video in {path}, OpenCV reads no frame of it; convert it with ffmpeg "
                f"-i {path.name} -c:v libx264 new.mp4"
            )
        stated = np.isfinite(fps) and 0 < fps <= 1000
        return cls(path, fps if stated else DEFAULT_FPS, frame.shape[1::-1], max(count, 0))

    def frames(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8, BGR, each; none is kept."""
        capture = cv2.VideoCapture(str(self.path))
        try:
            while True:
                found, frame = capture.read()
                if not found:
                    return
                yield frame
        finally:
            capture.release()


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
            f"expected OpenCV to write {path} or {FALLBACK}, it can do neither; look whether "
            f"{path.parent} can be written to and has room"
        )

    @property
    def written_px(self) -> tuple[int, int]:
        """Width and height of what the file holds."""
        width, height = self.size_px
        return width - width % 2, height - height % 2

    def write(self, frame: np.ndarray) -> None:
        """Append a frame (H, W, 3) uint8, BGR.

        Raises:
            ValueError: Its size is not that of the video: OpenCV would drop it without a word.
        """
        if frame.shape[1::-1] != tuple(self.size_px):
            raise ValueError(
                f"expected frames of {self.size_px[0]} x {self.size_px[1]} px, got "
                f"{frame.shape[1]} x {frame.shape[0]}"
            )
        self._writer.write(frame)

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.release()
        if kind is None:
            os.replace(self._part, self.path)
        self._part.unlink(missing_ok=True)


def check_clip_name(path: Path) -> None:
    """Refuse a file name that is no video's.

    Raises:
        ValueError: It is not.
    """
    if path.suffix.lower() not in CODECS:
        raise ValueError(
            f"expected a video file with one of {', '.join(CODECS)}, got {str(path)!r}"
        )
