"""Units: images that may not be parted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.core.groups import GroupRule
from equikpt.data_tools.near_duplicates import NearPair, clusters


@dataclass(frozen=True)
class Units:
    """N images in U units.

    Args:
        of_image: (N,) numbers of units, from 0 to U − 1.
        names: U names, each that of its alphabetically first image.
    """

    of_image: np.ndarray
    names: tuple[str, ...]

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """(U, F) sums over the images of each unit, of (N, F)."""
        total = np.zeros((len(self.names), rows.shape[1]), rows.dtype)
        np.add.at(total, self.of_image, rows)
        return total


def make_units(images: Sequence[dict], rule: GroupRule, pairs: Iterable[NearPair] = ()) -> Units:
    """Images of one group, and those that are nearly the same, as units.

    Args:
        images: N rows of a COCO file.
        rule: Which images are a group; a file that is listed twice is one image at least.
        pairs: Of these images.

    Raises:
        ValueError: An image has no group.
    """
    first_of: dict[str, int] = {}
    links = list(pairs)
    for index, image in enumerate(images):
        group = rule.group(image["file_name"], image)
        first = first_of.setdefault(group, index)
        links.append(NearPair(first, index, likeness=1, bits=0, mirrored=False))
    of_image = clusters(len(images), links)
    names: dict[int, str] = {}
    for unit, image in zip(of_image.tolist(), images, strict=True):
        names[unit] = min(names.get(unit, image["file_name"]), image["file_name"])
    return Units(of_image, tuple(names[unit] for unit in range(len(names))))
