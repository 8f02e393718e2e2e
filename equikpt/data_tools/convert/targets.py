"""Datasets that labels can be converted to."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from equikpt.data_tools.convert import TARGETS
from equikpt.metainfo import horse26
from equikpt.metainfo.schema import Keypoint, Link


@dataclass(frozen=True)
class Target:
    """Keypoints, links, the name of the one category, and the dataset that must accept the files.

    ``dataset`` is ``module:class``, imported only when the output is checked.
    """

    name: str
    keypoints: tuple[Keypoint, ...]
    links: tuple[Link, ...]
    category: str
    dataset: str

    @property
    def names(self) -> tuple[str, ...]:
        """The K names in the order of the file format."""
        return tuple(keypoint.name for keypoint in self.keypoints)

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
        dataset="equikpt.datasets.horse26:Horse26Dataset",
    ),
}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in _ROWS:
        raise ValueError(f"cannot convert to '{name}'; expected one of {', '.join(TARGETS)}")
    return _ROWS[name]
