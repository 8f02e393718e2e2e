"""Label Studio's JSON: keypoints and rectangles in percent of the image.

Regions of one animal hang together by ``parentID``, or a point lies in the rectangle of its animal;
see :mod:`equikpt.data_tools.convert.grouping`. An image that was turned while it was labelled has
percentages of the turned image: they are turned back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from equikpt.core.coco.checks import is_number
from equikpt.core.issues import format_examples
from equikpt.core.label_studio import (
    INTERFACE_FILE,
    Task,
    newest,
    read_interface,
    read_rows,
    stated_size,
    tasks_of,
)
from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint, animals
from equikpt.data_tools.convert.images import ImageFolders, output_names, sizes_px
from equikpt.data_tools.convert.records import UNSPLIT, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme

__all__ = ["INTERFACE_FILE", "POINTS", "RECTANGLES", "read", "read_predictions"]

POINTS, RECTANGLES, RELATION = "keypointlabels", "rectanglelabels", "relation"

_TURN_BACK: dict[int, Callable[[float, float], tuple[float, float]]] = {
    0: lambda x, y: (x, y),
    90: lambda x, y: (y, 100 - x),
    180: lambda x, y: (100 - x, 100 - y),
    270: lambda x, y: (100 - y, x),
}
"""Percentages of an image turned clockwise by so many degrees as those of the image itself."""


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an export of the format "JSON".

    Args:
        source: The file, or a folder with one.
        scheme: Its keypoints, if any, are the labels to take; by default all that occur.
        images: Folder of the images. Without images the sizes of the export are taken.

    Raises:
        FileNotFoundError: If there is no file, or nothing tells the size of an image.
        ValueError: If it is no such export.
    """
    return _read(_export_file(source), "annotations", scheme, images)


def read_predictions(
    source: Path, scheme: KeypointScheme, images: Path | None = None
) -> SourceDataset:
    """The pre-annotations of a file that is to be imported, or of an export, instead of its labels.

    As :func:`read`.
    """
    return _read(_export_file(source), "predictions", scheme, images)


def _read(path: Path, kind: str, scheme: KeypointScheme, images: Path | None) -> SourceDataset:
    rows = read_rows(path)
    tasks = tasks_of(rows, path)
    regions = [newest(row.get(kind) or ())[0] for row in rows]
    dataset = SourceDataset(splits={}, keypoints=scheme.keypoints or _labels(path, regions))
    folders = ImageFolders(
        [images] if images else [path.parent, path.parent / "images"], root=images
    )
    found = folders.find_all([[task.location, *task.names_on_disk] for task in tasks])
    names = names_without_folders([task.location for task in tasks])
    measured = sizes_px(found)
    listed = []
    for task, own, file, name in zip(tasks, regions, found, names, strict=True):
        stated = next(filter(None, map(stated_size, own)), None)
        size = measured.get(file) or task.size_px or stated
        if size is None and own:
            raise FileNotFoundError(
                f"task {task.number} of {path} does not state the size of {task.file_name}, and "
                f"the image is not at {file}; say with --images where it is"
            )
        if file.is_file():
            name = str(PurePosixPath(name).with_name(file.name))
        image = _Image(task, own, size or (0, 0)).labelled(file, dataset)
        listed.append(replace(image, name=name))
    dataset.splits[UNSPLIT] = listed
    dataset.notes += _notes(tasks, regions)
    return dataset


def names_without_folders(locations: Sequence[str]) -> list[str]:
    """Names in the output: those of the files or, where two are called alike, with folders."""
    return output_names([f"/{location}" for location in locations])


def _export_file(source: Path) -> Path:
    if not source.is_dir():
        return source
    found = sorted(source.glob("*.json"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} JSON files in {source}; give the export itself")
    return found[0]


def _labels(path: Path, regions: list[list[dict]]) -> tuple[str, ...]:
    """Labels of points in the order of the interface, then of their first occurrence."""
    occurring = [
        label
        for own in regions
        for region in own
        if region.get("type") == POINTS
        for label in (region.get("value") or {}).get(POINTS) or ()
    ]
    interface = read_interface(path)
    controls = [] if interface is None else interface.iter("KeyPointLabels")
    listed = [str(label.get("value")) for control in controls for label in control.iter("Label")]
    return tuple(dict.fromkeys([*listed, *occurring]))


def _groups(regions: Sequence[dict]) -> list[str]:
    """Name what each region is tied to, empty where that is nothing.

    ``parentID`` ties, and so does a relation, unless it is one of two rectangles, such as a mare
    and her foal.
    """
    names = [str(row.get("id") or f"region {index}") for index, row in enumerate(regions)]
    rectangles = {
        name for name, row in zip(names, regions, strict=True) if row.get("type") == RECTANGLES
    }
    ties = [(name, row.get("parentID")) for name, row in zip(names, regions, strict=True)]
    for row in regions:
        if row.get("type") == RELATION and not {row.get("from_id"), row.get("to_id")} <= rectangles:
            ties.append((str(row.get("from_id") or ""), row.get("to_id")))
    group_of: dict[str, str] = {}
    for first, second in ((first, str(second)) for first, second in ties if first and second):
        joined = {group_of.get(first, first), group_of.get(second, second)}
        group_of |= {first: first, second: first}
        group_of |= {name: first for name, group in group_of.items() if group in joined}
    return [group_of.get(name, "") for name in names]


class _Image:
    """One task: its regions in px of the image."""

    def __init__(self, task: Task, regions: list[dict], size: tuple[int, int]) -> None:
        self._task, self._regions, self._size = task, regions, size
        rotation = task.rotation % 360
        if rotation not in _TURN_BACK:
            raise ValueError(
                f"task {task.number} was labelled turned by {task.rotation:g}°; expected a "
                "multiple of 90°: turn the file itself and label it again"
            )
        self._turn_back = _TURN_BACK[int(rotation)]
        # Extents of rectangles are percentages of the turned image's width and height.
        self._turned_size = size if rotation in (0, 180) else size[::-1]

    def labelled(self, path: Path, dataset: SourceDataset) -> LabelledImage:
        """The image with its animals; what cannot be told goes to the notes."""
        points, boxes = [], []
        for region, group in zip(self._regions, _groups(self._regions), strict=True):
            value = region.get("value") or {}
            if region.get("type") == POINTS:
                x, y = self._px(*self._numbers(value, "x", "y"))
                labels = value.get(POINTS) or ()
                points += [
                    LoosePoint(label, x, y, group=group, score=region.get("score"))
                    for label in labels
                    if label in dataset.keypoints
                ]
            elif region.get("type") == RECTANGLES:
                labels = value.get(RECTANGLES) or [""]
                boxes.append(LooseBox(self._box(value), str(labels[0]), group))
        instances, remarks = animals(points, boxes, dataset.keypoints)
        dataset.notes += [f"{self._task.file_name}: {remark}" for remark in remarks]
        return LabelledImage(path, *self._size, tuple(instances))

    def _box(self, value: dict) -> tuple[float, float, float, float]:
        """The upright box around a rectangle, which may be turned about its upper left corner."""
        x, y, width, height = self._numbers(value, "x", "y", "width", "height")
        angle = math.radians(value.get("rotation") or 0)
        scale_x, scale_y = (length / 100 for length in self._turned_size)
        corners = []
        for along, down in ((0.0, 0.0), (width, 0.0), (0.0, height), (width, height)):
            right, below = along * scale_x, down * scale_y
            turned_x = right * math.cos(angle) - below * math.sin(angle)
            turned_y = right * math.sin(angle) + below * math.cos(angle)
            corners.append(self._px(x + turned_x / scale_x, y + turned_y / scale_y))
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        return (*map(float, low), *map(float, high - low))  # type: ignore[return-value]  # 2 + 2

    def _px(self, x: float, y: float) -> tuple[float, float]:
        x, y = self._turn_back(x, y)
        return x * self._size[0] / 100, y * self._size[1] / 100

    def _numbers(self, value: dict, *keys: str) -> list[float]:
        numbers = [value.get(key) for key in keys]
        if not all(map(is_number, numbers)):
            given = dict(zip(keys, numbers, strict=True))
            raise ValueError(
                f"task {self._task.number} has a region with {given}; expected percentages of the "
                "image's size"
            )
        return [float(number) for number in numbers if number is not None]


def _notes(tasks: list[Task], regions: list[list[dict]]) -> list[str]:
    notes = []
    several = [f"{task.file_name}: {task.annotations}" for task in tasks if task.annotations > 1]
    if several:
        notes.append(
            f"images labelled several times, the newest is taken ({format_examples(several)})"
        )
    turned = [f"{task.file_name}: {task.rotation:g}°" for task in tasks if task.rotation]
    if turned:
        notes.append(f"labelled turned, points turned back ({format_examples(turned)})")
    others = Counter(
        str(region.get("type"))
        for own in regions
        for region in own
        if region.get("type") not in (POINTS, RECTANGLES, RELATION)
    )
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.items())
        notes.append(f"regions that are neither points nor rectangles are not read ({kinds})")
    return notes
