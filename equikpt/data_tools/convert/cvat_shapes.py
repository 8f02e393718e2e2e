"""Shapes drawn on images, as CVAT's XML and its backups both have them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint, animals
from equikpt.data_tools.convert.images import ImageFolders, SizeLedger, sizes_px
from equikpt.data_tools.convert.records import BoxPx, Instance, LabelledImage, SourceDataset


def box_around_rectangle(
    left: float, top: float, right: float, bottom: float, rotation_deg: float = 0.0
) -> BoxPx:
    """The upright box around a rectangle that is turned clockwise about its centre, in px."""
    cosine, sine = (abs(f(math.radians(rotation_deg))) for f in (math.cos, math.sin))
    width, height = abs(right - left), abs(bottom - top)
    turned_width = width * cosine + height * sine
    turned_height = width * sine + height * cosine
    return (
        (left + right - turned_width) / 2,
        (top + bottom - turned_height) / 2,
        turned_width,
        turned_height,
    )


@dataclass
class ImageShapes:
    """The shapes of one image.

    Args:
        name: The image's name.
        size: Width and height, px.
        split: Split of its subset.
        instances: Skeletons.
        points: Points of their own.
        boxes: Rectangles.
        others: Kinds of the shapes that are none of these.
        location: Where a backup has the image, where that is not its name.
    """

    name: str
    size: tuple[int, int]
    split: str
    instances: list[Instance] = field(default_factory=list)
    points: list[LoosePoint] = field(default_factory=list)
    boxes: list[LooseBox] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    location: str = ""


def dataset_of(
    images: Sequence[ImageShapes], names: tuple[str, ...], folders: ImageFolders
) -> SourceDataset:
    """Images with animals from images with shapes.

    Args:
        images: All images, labelled or not.
        names: The S keypoints.
        folders: Where the images may lie.
    """
    dataset = SourceDataset(splits={}, keypoints=names)
    paths = folders.find_all(
        [[*filter(None, (shapes.location,)), shapes.name] for shapes in images]
    )
    ledger = SizeLedger(sizes_px(paths))
    for shapes, path in zip(images, paths, strict=True):
        loose, remarks = animals(shapes.points, shapes.boxes, names)
        dataset.notes += [f"{shapes.name}: {remark}" for remark in remarks]
        instances = (*shapes.instances, *loose)
        labelled = [np.zeros((0, 2)), *(instance.labelled for instance in instances)]
        width, height = ledger.settle(shapes.name, path, shapes.size, np.concatenate(labelled))
        dataset.splits.setdefault(shapes.split, []).append(
            LabelledImage(path, width, height, instances, shapes.name)
        )
    dataset.notes += ledger.notes()
    others = Counter(kind for shapes in images for kind in shapes.others)
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.items())
        dataset.notes.append(
            f"shapes that are neither skeletons, points nor rectangles are not read ({kinds})"
        )
    return dataset
