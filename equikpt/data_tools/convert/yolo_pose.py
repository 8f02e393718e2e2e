"""YOLO-pose: a ``data.yaml`` and one text file an image, as Ultralytics and Roboflow write it.

A line is one object: ``class cx cy w h`` and then ``x y [visibility]`` for each keypoint, all but
class and visibility as fractions of the image's width and height.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import yaml
from tqdm.contrib.concurrent import thread_map

from equikpt.data_tools.convert.boxes import BoxPx, as_box, box_between
from equikpt.data_tools.convert.images import SizePx, size_px
from equikpt.data_tools.convert.input_files import read_text
from equikpt.data_tools.convert.names import cut, split_named
from equikpt.data_tools.convert.records import (
    NO_CATEGORY,
    SPLITS,
    Instance,
    LabelledImage,
    SourceDataset,
)
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.writer import Options, put_images, refuse_repeated_names
from equikpt.data_tools.convert.yolo_description import Description, describe
from equikpt.data_tools.convert.yolo_files import ListedImage, YoloFiles
from equikpt.metainfo.sides import flip_by_name

BOX_TOLERANCE = 0.01
"""Boxes may pass the border by rounding; further out, the numbers are no fractions."""

DECIMALS = 8
"""Decimals of fractions of the image: below a thousandth of a pixel of any image."""

READ_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
"""Suffixes that this package reads: the ones in ``IMG_FORMATS`` of Ultralytics."""


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read the folder with ``data.yaml``, or that file; ``kpt_names`` in it name the keypoints."""
    description = describe(source, scheme)
    dataset = SourceDataset(
        {}, list(description.notes), description.keypoints, description.flip_idx
    )
    files = YoloFiles(description, images)
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
    """The images, whose names count from the deepest folder that all of them lie under."""
    top = Path(os.path.commonpath([image.listed.parent for image in listed]))

    def read_one(image: ListedImage) -> LabelledImage:
        name = image.listed.relative_to(top).as_posix()
        if not os.path.isfile(image.image):
            return LabelledImage(image.image, 0, 0, (), name)
        size = size_px(image.image)
        lines = read_text(image.label).splitlines() if os.path.isfile(image.label) else []
        instances = [
            _instance(line, f"{image.label}:{number}", size, description)
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        return LabelledImage(image.image, *size, tuple(filter(None, instances)), name)

    return thread_map(read_one, listed, desc=f"reading {split}", delay=5, disable=None)


def _instance(line: str, where: str, size: SizePx, description: Description) -> Instance | None:
    """The object of a line, None where its class is not asked for."""
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
    category = description.classes[int(values[0])]
    if category not in description.kept_classes:
        return None
    box_px = _box_px(np.array(values[1:5]), where, size)
    points = np.array(values[5:]).reshape(num_keypoints, -1)
    if points.shape[1] == 2:
        # Without a visibility column, the upper left corner stands for "not labelled".
        points = np.column_stack([points, np.where(points.any(axis=1), 2.0, 0.0)])
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError(f"{where} has a visibility other than 0, 1, 2; correct it")
    points[:, :2] *= size
    return Instance(box_px, points, category)


def _box_px(fractions: np.ndarray, where: str, size: SizePx) -> BoxPx:
    centre, extent = fractions[:2], fractions[2:]
    low, high = centre - extent / 2, centre + extent / 2
    if (extent <= 0).any() or (low < -BOX_TOLERANCE).any() or (high > 1 + BOX_TOLERANCE).any():
        raise ValueError(
            f"{where} has the box {fractions.tolist()}; expected centre, width and height as "
            "fractions of the image, inside it"
        )
    low, high = np.clip(low, 0, 1) * size, np.clip(high, 0, 1) * size
    return box_between(low, high)


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write ``data.yaml``, ``images/SPLIT/``, ``labels/SPLIT/`` for Ultralytics.

    Names of images lose their folders, and boxes end at the border of the image.
    """
    flip = dataset.flip_idx or flip_by_name(dataset.keypoints)
    splits = {split: list(map(_flat, images)) for split, images in dataset.splits.items()}
    written = SourceDataset(splits, [*dataset.notes], dataset.keypoints, flip)
    if flip == tuple(range(len(flip))) and len(flip) > 1:
        written.notes.append(
            "no keypoint's name tells its side: flip_idx changes nothing under a flip; state it in "
            "a mapping"
        )
    classes = list(written.categories() or (NO_CATEGORY,))
    _refuse_names(splits)
    for split, images in splits.items():
        put_images(folder / "images" / split, images, split, options.link)
        for image in images:
            path = folder / "labels" / split / _label_name(image)
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [_line(instance, image, classes) for instance in image.instances]
            path.write_text("".join(f"{line}\n" for line in lines))
    description = {
        **_entries(written),
        "names": dict(enumerate(classes)),
        "kpt_shape": [len(dataset.keypoints), 3],
        "flip_idx": list(flip),
        "kpt_names": {index: list(dataset.keypoints) for index in range(len(classes))},
    }
    (folder / "data.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return written


def _entries(written: SourceDataset) -> dict[str, str]:
    """The folder of each split; Ultralytics refuses a file without train or val."""
    there = list(written.splits)
    entries = {split: f"images/{split}" for split in there}
    for split in ("train", "val"):
        if split not in entries and there:
            instead = "val" if "val" in there else there[0]
            entries[split] = f"images/{instead}"
            written.notes.append(
                f"there is no {split} split, which Ultralytics asks for: data.yaml names the "
                f"images of {instead} for it, on which no score says anything"
            )
    return {split: entries[split] for split in SPLITS if split in entries}


def _refuse_names(splits: dict[str, list[LabelledImage]]) -> None:
    """Stop where two images would share a label file, or Ultralytics would pass over one."""
    refuse_repeated_names(splits)
    for split, images in splits.items():
        stems = Counter(map(_label_name, images))
        twice = [image.file_name for image in images if stems[_label_name(image)] > 1]
        if twice:
            raise ValueError(
                f"the images {' and '.join(twice[:2])} of split '{split}' would have one label "
                "file; rename one of them"
            )
        names = [image.file_name for image in images]
        unread = [n for n in names if PurePosixPath(n).suffix.lower() not in READ_SUFFIXES]
        if unread:
            raise ValueError(
                f"Ultralytics does not read {unread[0]} ({len(unread)} images of split "
                f"'{split}'); save them as PNG or JPEG"
            )


def _label_name(image: LabelledImage) -> str:
    return str(PurePosixPath(image.file_name).with_suffix(".txt"))


def _flat(image: LabelledImage) -> LabelledImage:
    """The image without folders in its name; of the boxes the part that lies in it."""
    instances = []
    for item in image.instances:
        x, y, width, height = item.box_px or (0.0, 0.0, 0.0, 0.0)
        left, right = np.clip((x, x + width), 0, image.width)
        top, bottom = np.clip((y, y + height), 0, image.height)
        box = as_box((left, top, right - left, bottom - top))
        instances.append(replace(item.named(), box_px=box))
    return image.having(instances, image.file_name.replace("/", "_"))


def _line(instance: Instance, image: LabelledImage, classes: list[str]) -> str:
    def fractions(*values: float) -> Iterable[str]:
        for value, side in zip(values, (image.width, image.height) * 2, strict=False):
            yield f"{value / side:.{DECIMALS}f}".rstrip("0").rstrip(".")

    x, y, width, height = instance.box_px or (0.0, 0.0, 0.0, 0.0)
    words = [str(classes.index(instance.category))]
    words += fractions(x + width / 2, y + height / 2, width, height)
    for point_x, point_y, visibility in instance.keypoints.tolist():
        words += [*fractions(point_x, point_y), str(int(visibility))]
    return " ".join(words)
