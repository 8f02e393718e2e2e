"""From the user's choices to a dataset in memory, of whatever format."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equikpt.data_tools.convert import FORMATS
from equikpt.data_tools.convert.coco_results import read_predictions
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.records import SPLITS, UNSPLIT, SourceDataset, is_text
from equikpt.data_tools.convert.schemes import KeypointScheme

DEFAULT_SPLIT = "train"

DEFAULT_MIN_SCORE = 0.3
"""As MMPose draws them."""


@dataclass(frozen=True)
class Reading:
    """Choices of how a source is read.

    Args:
        images: Folder of the images, where they lie apart from the labels.
        split: Split of the images of a source with one split, or with none; then ``train`` if
            not given.
        classes: Classes to read; empty for all.
        predictions: COCO results to read instead of the labels of a COCO file.
        min_score: Predicted keypoints below it are left out; 0.3 if not given.
    """

    images: Path | None = None
    split: str | None = None
    classes: tuple[str, ...] = ()
    predictions: Path | None = None
    min_score: float | None = None


def find_function(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` names."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)


def read_source(
    format_name: str, source: Path, scheme: KeypointScheme, reading: Reading
) -> SourceDataset:
    """Read a dataset of any format of :data:`FORMATS`, its splits named.

    Raises:
        FileNotFoundError: If the source or a part of it is missing.
        ValueError: If the format is unknown, an option does not go with it, or the labels are
            wrong.
    """
    if format_name not in FORMATS:
        raise ValueError(f"no format '{format_name}'; expected one of {', '.join(FORMATS)}")
    if not source.exists():
        raise FileNotFoundError(f"no {source}; give the folder or file of the dataset to convert")
    if reading.images is not None and not reading.images.is_dir():
        raise FileNotFoundError(f"no folder {reading.images}; give the folder of the images")
    if reading.classes:
        scheme = replace(scheme, classes=reading.classes)
    dataset = _read(format_name, source, scheme, reading)
    broken = [image.file_name for image in dataset.images() if not is_text(image.file_name)]
    if broken:
        raise ValueError(
            f"an image is named {broken[0]!r}, which label files cannot hold; rename it"
        )
    if not any(True for _ in dataset.images()):
        raise ValueError(f"{source} lists no images; export it again, with its images")
    _name_splits(dataset, reading.split)
    if scheme.classes:
        _keep_classes(dataset, scheme.classes)
    return dataset


def refuse_mixed_classes(dataset: SourceDataset) -> None:
    """Stop where several classes would become the one of the target.

    Raises:
        ValueError: If instances of several classes are there.
    """
    classes = [name for name in dataset.categories() if name]
    if len(classes) > 1:
        raise ValueError(
            f"the source has the classes {', '.join(classes)}; say with --classes which of them to "
            "convert"
        )


def _read(
    format_name: str, source: Path, scheme: KeypointScheme, reading: Reading
) -> SourceDataset:
    row = FORMATS[format_name]
    if reading.predictions is not None:
        if format_name != "coco":
            raise ValueError(
                f"--predictions goes with --from coco, not {format_name}: results name images by "
                "the ids of a COCO file"
            )
        score = DEFAULT_MIN_SCORE if reading.min_score is None else reading.min_score
        return read_predictions(
            source, reading.predictions, scheme.keypoints, reading.images, score
        )
    if reading.min_score is not None:
        raise ValueError("--score is for --predictions: labels have no scores")
    return find_function(row.read)(source, scheme, reading.images)


def _name_splits(dataset: SourceDataset, split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise ValueError(f"no split '{split}'; expected one of {', '.join(SPLITS)}")
    if split is not None and len(dataset.splits) > 1:
        raise ValueError(
            f"--split {split} is for a source with one split or none; this one has "
            f"{', '.join(name or 'images of no split' for name in dataset.splits)}"
        )
    if split is not None:
        dataset.splits = {split: list(dataset.images())}
    unsplit = dataset.splits.pop(UNSPLIT, [])
    if unsplit:
        dataset.splits.setdefault(DEFAULT_SPLIT, []).extend(unsplit)
        dataset.notes.append(
            f"{len(unsplit)} images are of no split and go to {DEFAULT_SPLIT}; --split says "
            "otherwise"
        )
    dataset.splits = {name: dataset.splits[name] for name in SPLITS if dataset.splits.get(name)}


def _keep_classes(dataset: SourceDataset, classes: tuple[str, ...]) -> None:
    there = dataset.categories()
    unknown = [name for name in classes if name not in there]
    if unknown:
        raise ValueError(
            f"no animal of class '{unknown[0]}' is labelled; there are {', '.join(there) or 'none'}"
        )
    instances = [item for image in dataset.images() for item in image.instances]
    num_others = sum(item.category not in classes for item in instances)
    if num_others:
        dataset.notes.append(f"{num_others} animals of other classes left out")
    for split, images in dataset.splits.items():
        dataset.splits[split] = [
            with_instances(image, (item for item in image.instances if item.category in classes))
            for image in images
        ]
