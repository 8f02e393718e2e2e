"""What every reader returns: labelled pictures in px, still with the source's own keypoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Instance:
    """One animal.

    Args:
        box_px: x, y of the upper left corner, width, height.
        keypoints: (S, 3) float64 x, y in px and visibility 0, 1, 2 of the S source keypoints.
    """

    box_px: tuple[float, float, float, float]
    keypoints: np.ndarray


@dataclass(frozen=True)
class LabelledImage:
    """A picture, its size in px as training loads it, and its animals."""

    path: Path
    width: int
    height: int
    instances: tuple[Instance, ...] = ()

    @property
    def source_name(self) -> str:
        """The picture that this file is a version of; Roboflow appends ``.rf.<hash>`` to it."""
        before, separator, _ = self.path.name.partition(".rf.")
        return before if separator else self.path.stem


@dataclass
class SourceDataset:
    """All splits of a dataset, and what the user should know about how they were read."""

    splits: dict[str, list[LabelledImage]]
    notes: list[str] = field(default_factory=list)
