"""Records that every reader returns: labelled images in px, with the source's own keypoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.boxes import BoxPx

SPLITS = ("train", "val", "test")

UNSPLIT = ""
"""Key of the images of a format, or a file, that knows no splits."""

NO_CATEGORY = "object"
"""Name in the output of the class of instances whose source has none."""


def noted(text: str, examples: Sequence[str]) -> list[str]:
    """A note with examples, none without any."""
    return [f"{text} ({format_examples(examples)})"] if examples else []


@dataclass(frozen=True)
class Instance:
    """One animal.

    Args:
        box_px: None where the source has no box.
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

    def named(self) -> Instance:
        """The instance with a class that a file can name."""
        return replace(self, category=self.category or NO_CATEGORY)


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
        return self.pixels is not None or os.path.isfile(self.path)

    def having(self, instances: Iterable[Instance], name: str = "") -> LabelledImage:
        """The image with other animals, and perhaps another name."""
        return replace(self, instances=tuple(instances), name=name or self.name)


@dataclass
class SourceDataset:
    """All splits of a dataset, and what the user should know about how they were read.

    Args:
        splits: Images by split; :data:`UNSPLIT` where the source knows none.
        notes: One sentence each.
        keypoints: Names of the S keypoints; empty where the source only numbers them.
        flip_idx: For each keypoint the index of its partner under a flip, where the source states
            it and the names do not tell it.
        links: Lines of the skeleton, by the names of their ends, where the source has one.
    """

    splits: dict[str, list[LabelledImage]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    keypoints: tuple[str, ...] = ()
    flip_idx: tuple[int, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def images(self) -> Iterator[LabelledImage]:
        """The images of all splits."""
        for images in self.splits.values():
            yield from images

    def instances(self) -> list[Instance]:
        """The animals of all images."""
        return [item for image in self.images() for item in image.instances]

    def categories(self) -> tuple[str, ...]:
        """The classes that occur, sorted; instances without one have the class ``""``."""
        return tuple(sorted({item.category for item in self.instances()}))

    def keep(self, is_kept: Callable[[Instance], bool], note: str) -> None:
        """Leave out the other instances, and note their number."""
        dropped = sum(not is_kept(item) for item in self.instances())
        if dropped:
            self.notes.append(f"{dropped} {note} left out")
            for split, images in self.splits.items():
                self.splits[split] = [
                    image.having(filter(is_kept, image.instances)) for image in images
                ]
