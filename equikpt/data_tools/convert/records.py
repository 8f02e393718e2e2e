"""Records that every reader returns: labelled images in px, with the source's own keypoints."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

SPLITS = ("train", "val", "test")

UNSPLIT = ""
"""Key of the images of a format, or a file, that knows no splits."""

MAX_NAME = 255
"""Bytes of the name of a file or folder, on nearly any disk."""

SHOWN_CHARACTERS = 80

BoxPx = tuple[float, float, float, float]
"""x, y of the upper left corner, width, height, in px."""


@dataclass(frozen=True)
class Instance:
    """One animal.

    Args:
        box_px: x, y of the upper left corner, width, height; None where the source has no box.
        keypoints: (S, 3) float64 x, y in px and visibility 0, 1, 2 of the S source keypoints.
        category: Its class in the source, empty where there is none.
        scores: (S,) scores of predicted keypoints, None for labels.
        score: Score of a predicted instance, None for labels.
        area_px2: Area that the source states, None where it states none.
        crowd: Whether it stands for a group, which is neither trained nor evaluated.
        outline: COCO's ``segmentation``, passed on untouched.
    """

    box_px: BoxPx | None
    keypoints: np.ndarray
    category: str = ""
    scores: np.ndarray | None = None
    score: float | None = None
    area_px2: float | None = None
    crowd: bool = False
    outline: object = None

    @property
    def labelled(self) -> np.ndarray:
        """(N, 2) x, y in px of the labelled points."""
        return self.keypoints[self.keypoints[:, 2] > 0, :2]


@dataclass(frozen=True)
class LabelledImage:
    """An image, its size in px as training loads it, and its animals.

    Args:
        path: Where the image is, or would be: labels may come without their images.
        width: 0, as the height, where neither the image nor the source tells it.
        name: Name in the output, with folders where the source has them; by default the file's.
        pixels: Reads the image, (H, W, 3) RGB or (H, W), where it is a frame of a video and no
            file of its own.
    """

    path: Path
    width: int
    height: int
    instances: tuple[Instance, ...] = ()
    name: str = ""
    pixels: Callable[[], np.ndarray] | None = None

    @property
    def file_name(self) -> str:
        """The name in the output, with ``/`` between folders."""
        return self.name or self.path.name

    @property
    def source_name(self) -> str:
        """The image that this file is a version of; Roboflow appends ``.rf.<hash>`` to it."""
        before, separator, _ = self.file_name.partition(".rf.")
        return before if separator else str(PurePosixPath(self.file_name).with_suffix(""))

    @property
    def exists(self) -> bool:
        """True where there are pixels to copy."""
        return self.pixels is not None or self.path.is_file()


@dataclass
class SourceDataset:
    """All splits of a dataset, and what the user should know about how they were read.

    Args:
        splits: Images by split; :data:`UNSPLIT` where the source knows none.
        notes: One sentence each.
        keypoints: Names of the S keypoints; empty where the source only numbers them.
        flip_idx: For each keypoint the index of its partner under a flip, where that is stated and
            not to be told from the names.
    """

    splits: dict[str, list[LabelledImage]]
    notes: list[str] = field(default_factory=list)
    keypoints: tuple[str, ...] = ()
    flip_idx: tuple[int, ...] = ()

    def images(self) -> Iterator[LabelledImage]:
        """The images of all splits."""
        for images in self.splits.values():
            yield from images

    def categories(self) -> tuple[str, ...]:
        """The classes that occur, sorted; instances without one have the class ``""``."""
        return tuple(sorted({item.category for image in self.images() for item in image.instances}))


def cut(text: str) -> str:
    """Shorten what a file holds where a word belongs, for messages."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def is_text(name: str) -> bool:
    """Tell if every file can hold a name: no control characters, no halves of characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def _is_long(parts: list[str]) -> bool:
    return max(len(part.encode()) for part in parts) > MAX_NAME


def safe_name(name: str) -> str:
    """An image's name from a label file as a relative path with ``/``, never out of its folder.

    An absolute path, which names a place on somebody's machine, gives the bare file name.

    Raises:
        ValueError: If nothing that can name a file is left.
    """
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
        parts = parts[-1:]
    parts = [part for part in parts if part not in ("", ".")]
    if not parts or parts == [".."] or not is_text(name) or _is_long(parts):
        raise ValueError(f"the labels name an image {cut(repr(name))}; expected a file name")
    return "/".join(parts)
