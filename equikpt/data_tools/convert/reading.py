"""From the user's choices to a dataset in memory, of whatever format."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path

from equikpt.data_tools.convert import FORMATS
from equikpt.data_tools.convert.coco_files import read_predictions
from equikpt.data_tools.convert.names import is_text
from equikpt.data_tools.convert.records import SPLITS, UNSPLIT, SourceDataset
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
        undivided: Without any split, do not note that all images go to one: they are divided later.
    """

    images: Path | None = None
    split: str | None = None
    classes: tuple[str, ...] = ()
    predictions: Path | None = None
    min_score: float | None = None
    undivided: bool = False


def read_source(
    format_name: str, source: Path, scheme: KeypointScheme, reading: Reading
) -> SourceDataset:
    """Read a dataset of any format of :data:`FORMATS`, its splits named."""
    if format_name not in FORMATS:
        raise ValueError(f"no format '{format_name}'; expected one of {', '.join(FORMATS)}")
    if not source.exists():
        raise FileNotFoundError(f"no {source}; give the folder or file of the dataset to convert")
    if reading.images is not None and not reading.images.is_dir():
        raise FileNotFoundError(f"no folder {reading.images}; give the folder of the images")
    scheme = replace(scheme, classes=reading.classes or scheme.classes)
    dataset = _read(format_name, source, scheme, reading)
    if not any(True for _ in dataset.images()):
        raise ValueError(f"{source} lists no images; export it again, with its images")
    for image in dataset.images():
        if not is_text(image.file_name):
            raise ValueError(
                f"an image is named {image.file_name!r}, which label files cannot hold; rename it"
            )
    _name_splits(dataset, reading)
    there = dataset.categories()
    unknown = [name for name in scheme.classes if name not in there]
    if unknown:
        raise ValueError(
            f"no animal of class '{unknown[0]}' is labelled; there are {', '.join(there) or 'none'}"
        )
    if scheme.classes:
        dataset.keep(lambda item: item.category in scheme.classes, "animals of other classes")
    return dataset


def _read(
    format_name: str, source: Path, scheme: KeypointScheme, reading: Reading
) -> SourceDataset:
    if reading.predictions is None:
        if reading.min_score is not None:
            raise ValueError("min_score is for predictions: labels have no scores")
        return pkgutil.resolve_name(FORMATS[format_name].read)(source, scheme, reading.images)
    if format_name != "coco":
        raise ValueError(
            f"predictions go with the format coco, not {format_name}: results name images by the "
            "ids of a COCO file"
        )
    score = DEFAULT_MIN_SCORE if reading.min_score is None else reading.min_score
    return read_predictions(source, reading.predictions, scheme.keypoints, reading.images, score)


def _name_splits(dataset: SourceDataset, reading: Reading) -> None:
    split = reading.split
    if split is not None and split not in SPLITS:
        raise ValueError(f"no split '{split}'; expected one of {', '.join(SPLITS)}")
    if split is not None and len(dataset.splits) > 1:
        raise ValueError(
            f"split '{split}' is for a source with one split or none; this one has "
            f"{', '.join(name or 'images of no split' for name in dataset.splits)}"
        )
    if split is not None:
        dataset.splits = {split: list(dataset.images())}
    unsplit = dataset.splits.pop(UNSPLIT, [])
    is_news = bool(dataset.splits) or not reading.undivided
    if unsplit:
        dataset.splits.setdefault(DEFAULT_SPLIT, []).extend(unsplit)
    if unsplit and is_news:
        dataset.notes.append(
            f"{len(unsplit)} images are of no split and go to {DEFAULT_SPLIT}, unless split names "
            "another"
        )
    dataset.splits = {name: dataset.splits[name] for name in SPLITS if dataset.splits.get(name)}
