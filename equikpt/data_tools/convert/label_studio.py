"""Label Studio's JSON: keypoints and rectangles in percent of the image.

Regions of one animal hang together by ``parentID``, or a point lies in the rectangle of its animal;
see :mod:`equikpt.data_tools.convert.grouping`. An image that was turned while it was labelled has
percentages of the turned image: they are turned back. Written are tasks to import, and the
labelling interface they belong to; labels become annotations, predictions pre-annotations with
their scores.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np

from equikpt.core.coco.checks import is_number
from equikpt.core.label_studio import (
    INTERFACE_FILE,
    Task,
    newest,
    read_interface,
    read_rows,
    stated_size,
    tasks_of,
)
from equikpt.data_tools.convert.boxes import BoxPx, box_between
from equikpt.data_tools.convert.grouping import (
    LooseBox,
    LoosePoint,
    Remark,
    animals,
    remarks_noted,
    unread,
)
from equikpt.data_tools.convert.images import ImageFolders, SizePx, sizes_px
from equikpt.data_tools.convert.names import output_names
from equikpt.data_tools.convert.records import (
    NO_CATEGORY,
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
    noted,
)
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.writer import Options

TASKS_FILE = "tasks.json"

POINT_WIDTH_PERCENT = 0.5
"""Size of a point on the screen, as a percentage of the image's width."""

POINTS, RECTANGLES, RELATION = "keypointlabels", "rectanglelabels", "relation"

_TURN_BACK: dict[float, Callable[[float, float], tuple[float, float]]] = {
    0: lambda x, y: (x, y),
    90: lambda x, y: (y, 100 - x),
    180: lambda x, y: (100 - x, 100 - y),
    270: lambda x, y: (100 - y, x),
}
"""Percentages of an image turned clockwise by so many degrees as those of the image itself."""


def read(
    source: Path, scheme: KeypointScheme, images: Path | None = None, kind: str = "annotations"
) -> SourceDataset:
    """Read an export of the format "JSON", a file or a folder with one.

    Without images the sizes of the export are taken. ``kind`` may be ``predictions``, for the
    pre-annotations.
    """
    found = sorted(source.glob("*.json")) if source.is_dir() else [source]
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} JSON files in {source}; give the export itself")
    path = found[0]
    rows = read_rows(path)
    tasks = tasks_of(rows, path)
    regions = [newest(row.get(kind) or ())[0] for row in rows]
    dataset = SourceDataset(keypoints=scheme.keypoints or _labels(path, regions))
    folders = ImageFolders(
        [images] if images else [path.parent, path.parent / "images"], root=images
    )
    files = folders.find_all([[task.location, *task.names_on_disk] for task in tasks])
    names = _names_without_folders([task.location for task in tasks])
    measured = sizes_px(files)
    listed, remarks = [], []
    for task, own, file, name in zip(tasks, regions, files, names, strict=True):
        stated = next(filter(None, map(stated_size, own)), None)
        size = measured.get(file) or task.size_px or stated
        if size is None and own:
            raise FileNotFoundError(
                f"task {task.number} of {path} does not state the size of {task.file_name}, and "
                f"the image is not at {file}; give the folder of the images as images"
            )
        if os.path.isfile(file):
            name = str(PurePosixPath(name).with_name(file.name))
        size = size or (0, 0)
        instances, unclear = _TurnedImage(task, size).instances(own, dataset.keypoints)
        listed.append(LabelledImage(file, *size, tuple(instances), name))
        remarks.append((task.file_name, unclear))
    dataset.splits[UNSPLIT] = listed
    dataset.notes += [*remarks_noted(remarks), *_notes(tasks, regions)]
    return dataset


def read_predictions(
    source: Path, scheme: KeypointScheme, images: Path | None = None
) -> SourceDataset:
    """Read pre-annotations instead of labels, as :func:`read`."""
    return read(source, scheme, images, "predictions")


def _names_without_folders(locations: Sequence[str]) -> list[str]:
    """Names in the output: those of the files or, where two are called alike, with folders."""
    return output_names([f"/{location}" for location in locations])


def _labels(path: Path, regions: list[list[dict]]) -> tuple[str, ...]:
    """Labels of points in the order of the interface, then of their first occurrence."""
    interface = read_interface(path)
    controls = [] if interface is None else interface.iter("KeyPointLabels")
    listed = [str(label.get("value")) for control in controls for label in control.iter("Label")]
    for region in (region for own in regions for region in own if region.get("type") == POINTS):
        listed += (region.get("value") or {}).get(POINTS) or ()
    return tuple(dict.fromkeys(listed))


def _groups(regions: Sequence[dict]) -> list[str]:
    """Name what each region is tied to, empty where that is nothing.

    ``parentID`` ties, and so does a relation, unless it is one of two rectangles, such as a mare
    and her foal.
    """
    names = [str(row.get("id") or f"region {index}") for index, row in enumerate(regions)]
    named = list(zip(names, regions, strict=True))
    rectangles = {name for name, row in named if row.get("type") == RECTANGLES}
    ties = [(name, row.get("parentID")) for name, row in named]
    for row in regions:
        if row.get("type") == RELATION and not {row.get("from_id"), row.get("to_id")} <= rectangles:
            ties.append((str(row.get("from_id") or ""), row.get("to_id")))
    group_of: dict[str, str] = {}
    for first, second in ((first, str(second)) for first, second in ties if first and second):
        joined = {group_of.get(first, first), group_of.get(second, second)}
        group_of |= {first: first, second: first}
        group_of |= {name: first for name, group in group_of.items() if group in joined}
    return [group_of.get(name, "") for name in names]


class _TurnedImage:
    """From percentages of an image as it was turned while it was labelled to its px."""

    def __init__(self, task: Task, size: SizePx) -> None:
        self._task, self._size = task, size
        rotation = task.rotation % 360
        if rotation not in _TURN_BACK:
            raise ValueError(
                f"task {task.number} was labelled turned by {task.rotation:g}°; expected a "
                "multiple of 90°: turn the file itself and label it again"
            )
        self._turn_back = _TURN_BACK[rotation]
        # Extents of rectangles are percentages of the turned image's width and height.
        self._turned_size = size if rotation in (0, 180) else size[::-1]

    def instances(
        self, regions: Sequence[dict], names: Sequence[str]
    ) -> tuple[list[Instance], list[Remark]]:
        """The animals, and remarks on what is not clear."""
        points, boxes = [], []
        for region, group in zip(regions, _groups(regions), strict=True):
            value = region.get("value") or {}
            if region.get("type") == POINTS:
                x, y = self._px(*self._numbers(value, "x", "y"))
                points += [
                    LoosePoint(label, x, y, group=group, score=region.get("score"))
                    for label in value.get(POINTS) or ()
                    if label in names
                ]
            elif region.get("type") == RECTANGLES:
                labels = value.get(RECTANGLES) or [""]
                boxes.append(LooseBox(self._box(value), str(labels[0]), group))
        return animals(points, boxes, names)

    def _box(self, value: dict) -> BoxPx:
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
        return box_between(low, high)

    def _px(self, x: float, y: float) -> tuple[float, float]:
        x, y = self._turn_back(x, y)
        return x * self._size[0] / 100, y * self._size[1] / 100

    def _numbers(self, value: dict, *keys: str) -> list[float]:
        given = {key: value.get(key) for key in keys}
        if not all(map(is_number, given.values())):
            raise ValueError(
                f"task {self._task.number} has a region with {given}; expected percentages of the "
                "image's size"
            )
        return [float(value[key]) for key in keys]


def _notes(tasks: list[Task], regions: list[list[dict]]) -> list[str]:
    several = [f"{task.file_name}: {task.annotations}" for task in tasks if task.annotations > 1]
    turned = [f"{task.file_name}: {task.rotation:g}°" for task in tasks if task.rotation]
    kinds = [str(region.get("type")) for own in regions for region in own]
    others = [kind for kind in kinds if kind not in (POINTS, RECTANGLES, RELATION)]
    return [
        *noted("images labelled several times, the newest is taken", several),
        *noted("labelled turned, points turned back", turned),
        *unread("regions that are neither points nor rectangles", others),
    ]


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write tasks to import, and the labelling interface.

    Splits go, and so do the folders of names where they do not tell two images apart, since Label
    Studio does not tell folders from the rest of an address.
    """
    images = [image.having(item.named() for item in image.instances) for image in dataset.images()]
    names = _names_without_folders([image.file_name for image in images])
    read_back = [
        image.having(image.instances, name) for image, name in zip(images, names, strict=True)
    ]
    note = f"{INTERFACE_FILE} is the labelling interface that the tasks belong to"
    written = SourceDataset({UNSPLIT: read_back}, [*dataset.notes, note], dataset.keypoints)
    tasks = [_task(image, dataset.keypoints, options.image_prefix or "") for image in images]
    (folder / TASKS_FILE).write_text(json.dumps(tasks, ensure_ascii=False, indent=1), "utf-8")
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    for tag, name, labels in (
        ("KeyPointLabels", "keypoints", dataset.keypoints),
        ("RectangleLabels", "boxes", written.categories() or (NO_CATEGORY,)),
    ):
        control = ElementTree.SubElement(view, tag, name=name, toName="image")
        for label in labels:
            ElementTree.SubElement(control, "Label", value=label)
    ElementTree.indent(view)
    interface = ElementTree.tostring(view, encoding="unicode") + "\n"
    (folder / INTERFACE_FILE).write_text(interface, encoding="utf-8")
    return written


def _task(image: LabelledImage, keypoints: tuple[str, ...], prefix: str) -> dict[str, object]:
    result = [
        region
        for number, instance in enumerate(image.instances, start=1)
        for region in _regions(instance, f"animal{number}", image, keypoints)
    ]
    scores = [item.score for item in image.instances if item.score is not None]
    predicted = scores or any(item.scores is not None for item in image.instances)
    task: dict[str, object] = {
        "data": {"image": prefix + quote(image.file_name)},
        "annotations": [] if predicted or not result else [{"result": result}],
    }
    if predicted:
        mean = {"score": sum(scores) / len(scores)} if scores else {}
        task["predictions"] = [{"model_version": "equikpt", "result": result, **mean}]
    return task


def _regions(
    instance: Instance, own: str, image: LabelledImage, keypoints: tuple[str, ...]
) -> list[dict[str, object]]:
    """The rectangle of an animal, and its points as children of it."""
    common = {
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
    }

    def percent(x: float, y: float) -> tuple[float, float]:
        return 100 * x / image.width, 100 * y / image.height

    x, y, width, height = instance.box_px or (0.0, 0.0, 0.0, 0.0)
    box = {
        **dict(
            zip(("x", "y", "width", "height"), percent(x, y) + percent(width, height), strict=True)
        ),
        "rotation": 0,
        RECTANGLES: [instance.category],
    }
    regions: list[dict[str, object]] = [
        {"id": own, "type": RECTANGLES, "from_name": "boxes", "value": box, **common}
    ]
    for index, (name, (x, y, visibility)) in enumerate(
        zip(keypoints, instance.keypoints.tolist(), strict=True)
    ):
        if not visibility:
            continue
        x, y = percent(x, y)
        region = {"id": f"{own}.{index}", "parentID": own, "type": POINTS, **common}
        value = {"x": x, "y": y, "width": POINT_WIDTH_PERCENT, POINTS: [name]}
        region |= {"from_name": "keypoints", "value": value}
        if instance.scores is not None:
            region["score"] = float(instance.scores[index])
        regions.append(region)
    return regions
