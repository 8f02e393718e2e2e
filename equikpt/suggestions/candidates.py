"""Images that may be labelled: files, and frames of videos, streamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from equikpt.apis.images import find_images
from equikpt.data_tools.convert.images import IMAGE_SUFFIXES
from equikpt_runtime.clips import VIDEO_SUFFIXES, Clip, FrameTimes

TOLERANCE_S = 1e-6


@dataclass(frozen=True)
class Candidate:
    """An image file, or a frame of a video.

    Args:
        source: The file.
        name: Of the image to write.
        frame: Number of the frame, from 0; None for an image.
        time_s: Time of the frame.
    """

    source: Path
    name: str
    frame: int | None = None
    time_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "source": str(self.source)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Candidate:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**plain, "source": Path(plain["source"])})


class Taken(NamedTuple):
    """A candidate, of a video with its pixels (H, W, 3) uint8, BGR, and those of the next frame."""

    candidate: Candidate
    image: np.ndarray | None = None
    following: np.ndarray | None = None


class Sources:
    """Images and videos to choose from.

    Args:
        given: Image files, videos, and folders of images.
        every_s: Seconds from one frame of a video to the next one that is a candidate; at least
            every second frame is left to show how the one before it moves.

    Raises:
        FileNotFoundError: Nothing there, or a folder without images.
        OSError: A video that cannot be read.
        ValueError: Two videos, or two images, of one name.
    """

    def __init__(self, given: Sequence[Path], every_s: float) -> None:
        self.every_s = every_s
        self.images: list[Path] = []
        self.clips: list[Clip] = []
        for path in given:
            if path.is_dir():
                inside = sorted(path.iterdir())
                videos = [each for each in inside if is_video(each)]
                self.clips += map(Clip.open, videos)
                if not videos or any(each.suffix.lower() in IMAGE_SUFFIXES for each in inside):
                    self.images += find_images((), path)
            elif is_video(path):
                self.clips.append(Clip.open(path))
            else:
                self.images += find_images([str(path)])
        stems = Counter([*(path.stem for path in self.images), *(c.path.stem for c in self.clips)])
        for stem, number in stems.most_common(1):
            if number > 1:
                raise ValueError(
                    f"expected images and videos of different names, got {number} of the name "
                    f"{stem}; suggest for one folder after the other"
                )

    def __len__(self) -> int:
        """Number of candidates, as far as the headers of videos tell."""
        steps = (max(2, round(clip.fps * self.every_s)) for clip in self.clips)
        frames = (-(-clip.count // step) for clip, step in zip(self.clips, steps, strict=True))
        return len(self.images) + sum(frames)

    def paths(self) -> list[Path]:
        """All files."""
        return [*self.images, *(clip.path for clip in self.clips)]

    def __iter__(self) -> Iterator[Taken]:
        """Yield each image, which is not read, and each frame that is due."""
        return self.after(0)

    def after(self, skip: int) -> Iterator[Taken]:
        """Yield all but the first ``skip``."""
        for path in self.images[skip:]:
            yield Taken(Candidate(path, path.name))
        skip = max(0, skip - len(self.images))
        for clip in self.clips:
            for taken in _frames(clip, self.every_s, skip):
                skip = max(0, skip - 1)
                if taken is not None:
                    yield taken


def _frames(clip: Clip, every_s: float, skip: int) -> Iterator[Taken | None]:
    """Yield each frame that is due; None for the first ``skip``, which are not decoded."""
    capture = cv2.VideoCapture(str(clip.path))
    times = FrameTimes(capture, clip.fps)
    number, due_s = -1, 0.0
    try:
        while capture.grab():
            number += 1
            time_s = times.next_s()
            if time_s < due_s - TOLERANCE_S:
                continue
            due_s = max(due_s + every_s, time_s)
            name = f"{clip.path.stem}_{number:06d}.png"
            candidate = Candidate(clip.path, name, number, round(time_s, 4))
            is_wanted, skip = skip <= 0, skip - 1
            image = capture.retrieve()[1] if is_wanted else None
            following = None
            if capture.grab():
                number += 1
                times.next_s()
                following = capture.retrieve()[1] if is_wanted else None
            yield Taken(candidate, image, following) if is_wanted else None
    finally:
        capture.release()


def stamps_of(paths: Iterable[Path]) -> list[list]:
    """Names, sizes and times of files, by which a later run knows them again."""
    stats = [(path.resolve(), path.stat()) for path in paths]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def is_video(path: Path) -> bool:
    """Tell a video by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES
