"""The backup of a CVAT project or task: a folder with JSON and the images.

``project.json`` names the labels, ``task_N/task.json`` a task, ``task_N/annotations.json`` its
shapes by frame number, and ``task_N/data/manifest.jsonl`` the images in the order of the frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from equikpt.core.coco.checks import is_number
from equikpt.core.typed_json import Whole, parse_json, read_json, refuse_wrong_types
from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.cvat_shapes import (
    ImageShapes,
    box_around_rectangle,
    dataset_of,
)
from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.records import Instance, SourceDataset, safe_name
from equikpt.data_tools.convert.schemes import KeypointScheme

A_BACKUP = "a backup of CVAT"
KINDS = {"rectangle": 4, "points": 2}
"""Shapes that are read, beside skeletons, and how many numbers each has."""


class Label(msgspec.Struct):
    """A label of a project or task."""

    name: str
    type: str | None = None
    sublabels: list[Label] | None = None


class Data(msgspec.Struct):
    """Images of a task, as its ``data`` lists them."""

    deleted_frames: list[Whole] | None = None


class Described(msgspec.Struct):
    """``project.json`` or ``task.json``."""

    labels: list[Label] | None = None
    data: Data | None = None
    subset: str | None = None


class Image(msgspec.Struct):
    """A line of ``manifest.jsonl``."""

    name: str | None = None
    extension: str | None = None
    width: Whole | None = None
    height: Whole | None = None
    type: str | None = None


class KeyFrame(msgspec.Struct):
    """A shape of a track."""

    frame: Whole
    type: str | None = None
    points: list[float] | None = None
    rotation: float | None = None
    occluded: bool | None = None
    outside: bool | None = None


class Element(msgspec.Struct):
    """A point of a skeleton."""

    label: str
    points: list[float] | None = None
    occluded: bool | None = None
    outside: bool | None = None


class ElementTrack(msgspec.Struct):
    """A point of a tracked skeleton."""

    label: str
    shapes: list[KeyFrame]


class Shape(KeyFrame, kw_only=True):
    """A shape on one image."""

    label: str
    type: str
    group: Whole | None = None
    elements: list[Element] | None = None


class Track(msgspec.Struct):
    """A shape over several images."""

    label: str
    shapes: list[KeyFrame]
    group: Whole | None = None
    elements: list[ElementTrack] | None = None


class Job(msgspec.Struct):
    """A job of ``annotations.json``."""

    shapes: list[Shape] | None = None
    tracks: list[Track] | None = None


def read(root: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an unpacked backup.

    Args:
        root: The folder with ``project.json`` or, of a single task, ``task.json``.
        scheme: Its keypoints, if any, give the order; by default that of the labels.
        images: Folder of the images, by default the backup's own.

    Raises:
        FileNotFoundError: If a task lacks a file.
        ValueError: If a file is not of that form, or a task is a video.
    """
    tasks = [root] if (root / "task.json").is_file() else sorted(root.glob("task_*"))
    if not tasks:
        raise FileNotFoundError(f"no task in {root}; make the backup again, with tasks")
    contents = [(task, _described(task / "task.json")) for task in tasks]
    project = root / "project.json"
    described = [content for _, content in contents]
    if project.is_file():
        described.insert(0, _described(project))
    names = scheme.keypoints or _keypoint_names(described)
    shapes: list[ImageShapes] = []
    tracked = 0
    for task, content in contents:
        shown = _frames(root, task, content, several=len(tasks) > 1)
        tracked += _add_shapes(task, shown, {name: index for index, name in enumerate(names)})
        shapes += shown.values()
    folder = images or root
    dataset = dataset_of(shapes, names, ImageFolders([folder], root=folder))
    if tracked:
        dataset.notes.append(
            f"{tracked} tracks: their key frames are read, what CVAT interpolates between is not"
        )
    return dataset


def _described(path: Path) -> dict:
    content = read_json(path, A_BACKUP)
    refuse_wrong_types(content, Described, str(path), A_BACKUP)
    return content


def _keypoint_names(contents: list[dict]) -> tuple[str, ...]:
    names = []
    for content in contents:
        for label in content.get("labels") or ():
            names += [sub["name"] for sub in label.get("sublabels") or ()]
            names += [label["name"]] if label.get("type") == "points" else []
    return tuple(dict.fromkeys(names))


def _frames(root: Path, task: Path, content: dict, several: bool) -> dict[int, ImageShapes]:
    """The images of a task by frame number, without deleted ones."""
    manifest = task / "data" / "manifest.jsonl"
    if not manifest.is_file():
        raise FileNotFoundError(f"no {manifest}; make the backup again, with its data")
    images = [line for line in _lines(manifest) if line.get("name") and line.get("width")]
    if not images:
        raise ValueError(f"{manifest} lists no images; make the backup again, with its data")
    deleted = set((content.get("data") or {}).get("deleted_frames") or ())
    split = split_named(content.get("subset") or "")
    place = (task / "data").relative_to(root).as_posix()
    frames = {}
    for number, line in enumerate(images):
        if number not in deleted:
            name = safe_name(line["name"] + (line.get("extension") or ""))
            # Two tasks of a project may each have an image of that name.
            frames[number] = ImageShapes(
                f"{task.name}/{name}" if several else name,
                (line["width"], line.get("height") or 0),
                split,
                location=f"{place}/{name}",
            )
    return frames


def _lines(manifest: Path) -> list[dict]:
    try:
        texts = manifest.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{manifest} is no text ({error}); make the backup again") from error
    lines = []
    for number, text in enumerate(texts, start=1):
        if text.strip():
            where = f"{manifest}, line {number}"
            lines.append(parse_json(text, where, A_BACKUP))
            refuse_wrong_types(lines[-1], Image, where, A_BACKUP)
    if any(line.get("type") == "video" for line in lines):
        raise ValueError(
            f"{manifest} is of a video; export it as 'CVAT for images 1.1' with its images"
        )
    return lines


def _add_shapes(task: Path, frames: dict[int, ImageShapes], places: dict[str, int]) -> int:
    """Draw the shapes of a task onto its frames; the number of tracks."""
    path = task / "annotations.json"
    jobs = read_json(path, A_BACKUP)
    refuse_wrong_types(jobs, list[Job], str(path), A_BACKUP)
    tracks = [track for job in jobs for track in job.get("tracks") or ()]
    shapes = [shape for job in jobs for shape in job.get("shapes") or ()]
    for shape in (*shapes, *_key_frames(tracks)):
        if shape["frame"] in frames:
            _add_shape(frames[shape["frame"]], shape, places, path)
    return len(tracks)


def _key_frames(tracks: list[dict]) -> Iterator[dict]:
    """The key frames of tracks as shapes; a skeleton's elements are tracks themselves."""
    for track in tracks:
        for shape in track["shapes"]:
            if not shape.get("outside"):
                elements = [
                    {**key_frame, "label": element["label"]}
                    for element in track.get("elements") or ()
                    for key_frame in element["shapes"]
                    if key_frame["frame"] == shape["frame"]
                ]
                own = {"label": track["label"], "group": track.get("group"), "elements": elements}
                yield {**shape, **own}


def _add_shape(image: ImageShapes, shape: dict, places: dict[str, int], path: Path) -> None:
    label, kind, group = shape["label"], shape.get("type"), str(shape.get("group") or "")
    if kind == "skeleton":
        keypoints = np.zeros((len(places), 3))
        for element in shape.get("elements") or ():
            if not element.get("outside") and element["label"] in places:
                xy = _coordinates(element, "points", path)
                keypoints[places[element["label"]]] = (*xy, _visibility(element))
        image.instances.append(Instance(None, keypoints, label))
    elif kind == "rectangle":
        left, top, right, bottom = _coordinates(shape, kind, path)
        turned = shape.get("rotation") or 0.0
        box = box_around_rectangle(left, top, right, bottom, turned)
        image.boxes.append(LooseBox(box, label, group))
    elif kind == "points":
        x, y = _coordinates(shape, kind, path)
        if label in places:
            image.points.append(LoosePoint(label, x, y, _visibility(shape), group))
    else:
        image.others.append(str(kind))


def _coordinates(shape: dict, kind: str, path: Path) -> list[float]:
    points = shape.get("points") or []
    if len(points) != KINDS[kind] or not all(map(is_number, points)):
        raise ValueError(
            f"{path}: a shape of '{shape['label']}' has the coordinates {points[:8]}; expected "
            f"{KINDS[kind]} numbers"
        )
    return list(map(float, points))


def _visibility(shape: dict) -> int:
    return 1 if shape.get("occluded") else 2
