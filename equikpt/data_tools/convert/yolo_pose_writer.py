"""Writing YOLO-pose for Ultralytics: ``data.yaml``, ``images/SPLIT/``, ``labels/SPLIT/``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import yaml

from equikpt.data_tools.convert.coco import NO_CATEGORY
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.naming import flip_of
from equikpt.data_tools.convert.records import SPLITS, Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.writer import Options, place_images, refuse_repeated_names

DECIMALS = 8
"""Decimals of fractions of the image: below a thousandth of a pixel of any image."""

READ_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
"""Suffixes that this package reads: the ones in ``IMG_FORMATS`` of Ultralytics."""


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write a dataset with its images.

    Args:
        folder: Empty folder to write into.
        dataset: Mapped and complete; each instance has a box.
        options: Whether to link the images.

    Returns:
        The dataset as written: images without folders in their names, boxes inside the image.
    """
    flip = dataset.flip_idx or flip_of(dataset.keypoints)
    notes = [*dataset.notes]
    if flip == tuple(range(len(flip))) and len(flip) > 1:
        notes.append(
            "no keypoint's name tells its side: flip_idx changes nothing under a flip; state it in "
            "a --mapping"
        )
    classes = [name or NO_CATEGORY for name in dataset.categories()] or [NO_CATEGORY]
    written = SourceDataset(
        {split: [_flat(image) for image in images] for split, images in dataset.splits.items()},
        notes,
        dataset.keypoints,
        flip,
    )
    _refuse_names(written.splits)
    for split, images in written.splits.items():
        place_images(folder / "images" / split, images, split, options.link)
        labels = folder / "labels" / split
        labels.mkdir(parents=True)
        for image in images:
            lines = [_line(instance, image, classes) for instance in image.instances]
            text = "".join(f"{line}\n" for line in lines)
            (labels / _label_name(image)).write_text(text)
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
    """Stop where two images would share a label file, or Ultralytics would pass over one.

    Raises:
        ValueError: If names repeat, up to their suffix, or an image is of another kind.
    """
    refuse_repeated_names(splits)
    for split, images in splits.items():
        stems = Counter(_label_name(image) for image in images)
        twice = [image.file_name for image in images if stems[_label_name(image)] > 1]
        if twice:
            raise ValueError(
                f"the images {' and '.join(twice[:2])} of split '{split}' would have one label "
                "file; rename one of them"
            )
        unread = [image.file_name for image in images if _suffix(image) not in READ_SUFFIXES]
        if unread:
            raise ValueError(
                f"Ultralytics does not read {unread[0]} ({len(unread)} images of split "
                f"'{split}'); save them as PNG or JPEG"
            )


def _suffix(image: LabelledImage) -> str:
    return PurePosixPath(image.file_name).suffix.lower()


def _label_name(image: LabelledImage) -> str:
    return str(PurePosixPath(image.file_name).with_suffix(".txt"))


def _flat(image: LabelledImage) -> LabelledImage:
    instances = [
        replace(
            instance, box_px=_inside(instance, image), category=instance.category or NO_CATEGORY
        )
        for instance in image.instances
    ]
    name = image.file_name.replace("/", "_")
    return replace(with_instances(image, instances), name=name)


def _inside(instance: Instance, image: LabelledImage) -> tuple[float, float, float, float]:
    """The part of a box that lies in the image, which is all that a fraction may say."""
    x, y, width, height = instance.box_px or (0.0, 0.0, 0.0, 0.0)
    left, right = np.clip((x, x + width), 0, image.width)
    top, bottom = np.clip((y, y + height), 0, image.height)
    return float(left), float(top), float(right - left), float(bottom - top)


def _line(instance: Instance, image: LabelledImage, classes: list[str]) -> str:
    x, y, width, height = instance.box_px or (0.0, 0.0, 0.0, 0.0)
    values = [
        (x + width / 2) / image.width,
        (y + height / 2) / image.height,
        width / image.width,
        height / image.height,
    ]
    words = [str(classes.index(instance.category)), *map(_number, values)]
    for point_x, point_y, visibility in instance.keypoints.tolist():
        words += [_number(point_x / image.width), _number(point_y / image.height)]
        words.append(str(int(visibility)))
    return " ".join(words)


def _number(fraction: float) -> str:
    return f"{fraction:.{DECIMALS}f}".rstrip("0").rstrip(".")
