"""Datasets that labels can be converted to."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace

from equikpt.data_tools.convert import TARGETS
from equikpt.metainfo import coco17, horse26, p1p2
from equikpt.metainfo.schema import Keypoint, Link


@dataclass(frozen=True)
class Target:
    """Keypoints, links, the name of the one category, and the dataset that must accept the files.

    Args:
        name: On the command line.
        keypoints: K rows.
        links: Lines of the skeleton.
        category: Name of the one category; empty where the source's stay.
        supercategory: As COCO has it.
        dataset: ``module:class``, imported only when the output is checked; empty for none.
        whole_image: Whether the box is the image and there is one instance in it.
        source_names: The K names where they are the source's.
    """

    name: str
    keypoints: tuple[Keypoint, ...] = ()
    links: tuple[Link, ...] = ()
    category: str = ""
    supercategory: str = "animal"
    dataset: str = ""
    whole_image: bool = False
    source_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The K names in the order of the file format."""
        return self.source_names or tuple(keypoint.name for keypoint in self.keypoints)

    @property
    def keeps_source(self) -> bool:
        """True where it has no keypoints of its own but takes those of the source."""
        return not self.keypoints

    def dataset_class(self) -> type:
        """The class that trains on the output."""
        module, _, name = self.dataset.partition(":")
        return getattr(importlib.import_module(module), name)


_ROWS = {
    "horse26": Target(
        name="horse26",
        keypoints=horse26.KEYPOINTS,
        links=horse26.LINKS,
        category="horse",
        dataset="equikpt.datasets:Horse26Dataset",
    ),
    "p1p2": Target(
        name="p1p2",
        keypoints=p1p2.KEYPOINTS,
        links=p1p2.LINKS,
        category="ruler",
        supercategory="object",
        dataset="equikpt.datasets:P1P2Dataset",
        whole_image=True,
    ),
    "coco17": Target(
        name="coco17",
        keypoints=coco17.KEYPOINTS,
        links=coco17.LINKS,
        category="person",
        supercategory="person",
        dataset="equikpt.datasets:Coco17Dataset",
    ),
    "coco": Target(name="coco"),
}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _ROWS:
        raise ValueError(f"cannot convert to '{name}'; expected one of {', '.join(TARGETS)}")
    return _ROWS[name]


def with_source_names(target: Target, names: tuple[str, ...]) -> Target:
    """The target with the source's keypoints, where it has none of its own."""
    return replace(target, source_names=names) if target.keeps_source else target
