"""YOLO-pose: a ``data.yaml`` and one text file an image, as Ultralytics and Roboflow write it.

A line is one object: ``class cx cy w h`` and then ``x y [visibility]`` for each keypoint, all but
class and visibility as fractions of the image's width and height.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.images import size_px
from equikpt.data_tools.convert.records import BoxPx, Instance, LabelledImage, SourceDataset, cut
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.text_file import read_text
from equikpt.data_tools.convert.yolo_description import Description, describe
from equikpt.data_tools.convert.yolo_files import ListedImage, YoloFiles, common_folder

BOX_TOLERANCE = 0.01
"""Boxes may pass the border by rounding; further out, the numbers are no fractions."""


def read(folder: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read a YOLO-pose dataset.

    Args:
        folder: The folder with ``data.yaml``, or that file.
        scheme: Names of the keypoints, which only a ``data.yaml`` with ``kpt_names`` has.
        images: Folder of the images, where the labels came without them.

    Raises:
        FileNotFoundError: If there is no ``data.yaml``, or a split's images are not there.
        ValueError: If ``data.yaml``, a label file or an image is not what the format asks for.
    """
    description = describe(folder, scheme)
    dataset = SourceDataset(
        {}, list(description.notes), description.keypoints, description.flip_idx
    )
    files = YoloFiles(description.path, description.root, images)
    found: dict[str, list[ListedImage]] = {}
    for split, entries in description.entries.items():
        if split == "test" and not files.exist(entries):  # Roboflow names one in any case
            dataset.notes.append(
                f"{description.path.name} names '{entries[0]}' for the test split, which is "
                "absent: no test"
            )
            continue
        found[split], notes = files.find(split, entries)
        dataset.notes += notes
    for split in _once(found, description, dataset.notes):
        dataset.splits[split] = _read_images(found[split], description, split)
    return dataset


def _once(
    found: dict[str, list[ListedImage]], description: Description, notes: list[str]
) -> list[str]:
    """The splits, those of the same images once: Ultralytics asks for a val where there is none."""
    same: dict[frozenset[Path], list[str]] = {}
    for split, listed in found.items():
        same.setdefault(frozenset(image.image for image in listed), []).append(split)
    kept = []
    for splits in same.values():
        meant = [split for split in splits if split_named(description.entries[split][0]) == split]
        kept.append((meant or splits)[0])
        if len(splits) > 1:
            notes.append(f"{' and '.join(splits)} have the same images, read as {kept[-1]}")
    return kept


def _read_images(
    listed: list[ListedImage], description: Description, split: str
) -> list[LabelledImage]:
    top = common_folder(listed)

    def read_one(image: ListedImage) -> LabelledImage:
        name = image.place.relative_to(top).as_posix()
        if not image.image.is_file():
            return LabelledImage(image.image, 0, 0, (), name)
        size = size_px(image.image)
        lines = read_text(image.label).splitlines() if image.label.is_file() else []
        instances = tuple(
            instance
            for number, line in enumerate(lines, start=1)
            if line.strip()
            for instance in _instances(line, f"{image.label}:{number}", size, description)
        )
        return LabelledImage(image.image, *size, instances, name)

    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        return list(
            tqdm(
                pool.map(read_one, listed), total=len(listed), desc=f"reading {split}", disable=None
            )
        )


def _instances(
    line: str, where: str, size: tuple[int, int], description: Description
) -> list[Instance]:
    """The object of a line, or none where its class is not asked for."""
    num_keypoints = len(description.keypoints)
    num_values = 5 + num_keypoints * description.values_a_keypoint
    try:
        values = [float(value) for value in line.split()]
    except ValueError as error:
        raise ValueError(
            f"{where} has a value that is no number ({cut(str(error))}); correct it"
        ) from error
    if len(values) != num_values or not all(map(math.isfinite, values)):
        raise ValueError(
            f"{where} has {len(values)} values; expected {num_values} finite ones: a class, a box "
            f"of 4, and {description.values_a_keypoint} for each of {num_keypoints} keypoints as "
            f"kpt_shape says; correct the line or kpt_shape in {description.path}"
        )
    if values[0] not in range(len(description.classes)):
        raise ValueError(f"{where} has class {values[0]:g}; {description.path} names fewer")
    if values[0] not in description.kept_classes:
        return []
    box_px = _box_px(values[1:5], where, size)
    points = np.array(values[5:]).reshape(num_keypoints, -1)
    if points.shape[1] == 2:
        # Without a visibility column, the upper left corner stands for "not labelled".
        points = np.column_stack([points, np.where(points.any(axis=1), 2.0, 0.0)])
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError(f"{where} has a visibility other than 0, 1, 2; correct it")
    points[:, :2] *= size
    return [Instance(box_px, points, description.classes[int(values[0])])]


def _box_px(fractions: list[float], where: str, size: tuple[int, int]) -> BoxPx:
    centre, extent = np.array(fractions[:2]), np.array(fractions[2:])
    low, high = centre - extent / 2, centre + extent / 2
    if (extent <= 0).any() or (low < -BOX_TOLERANCE).any() or (high > 1 + BOX_TOLERANCE).any():
        raise ValueError(
            f"{where} has the box {fractions}; expected centre, width and height as fractions of "
            "the image, inside it"
        )
    low, high = np.clip(low, 0, 1) * size, np.clip(high, 0, 1) * size
    return (*map(float, low), *map(float, high - low))  # type: ignore[return-value]  # two and two
