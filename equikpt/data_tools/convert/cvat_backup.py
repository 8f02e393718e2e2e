"""The backup of a CVAT project or task: a folder with JSON and the pictures.

``project.json`` names the labels, ``task_N/task.json`` a task, ``task_N/annotations.json`` its
shapes by frame number, and ``task_N/data/manifest.jsonl`` the pictures in the order of the frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.cvat_shapes import PictureShapes, dataset_of
from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint
from equikpt.data_tools.convert.json_file import read_json
from equikpt.data_tools.convert.pictures import PictureFolders
from equikpt.data_tools.convert.records import Instance, SourceDataset, safe_name
from equikpt.data_tools.convert.schemes import KeypointScheme


def read(root: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an unpacked backup.

    Args:
        root: The folder with ``project.json`` or, of a single task, ``task.json``.
        scheme: Its keypoints, if any, give the order; by default that of the labels.
        images: Folder of the pictures, by default the backup's own.

    Raises:
        FileNotFoundError: If a task lacks a file.
        ValueError: If a file is not of that form, or a task is a film.
    """
    tasks = [root] if (root / "task.json").is_file() else sorted(root.glob("task_*"))
    if not tasks:
        raise FileNotFoundError(f"no task in {root}; make the backup again, with tasks")
    contents = [(task, read_json(task / "task.json", "a backup of CVAT")) for task in tasks]
    project = root / "project.json"
    described = [content for _, content in contents]
    if project.is_file():
        described.insert(0, read_json(project, "a backup of CVAT"))
    names = scheme.keypoints or _keypoint_names(described)
    pictures: list[PictureShapes] = []
    tracked = 0
    for task, content in contents:
        shown = _frames(root, task, content, several=len(tasks) > 1)
        tracked += _add_shapes(task, shown, {name: index for index, name in enumerate(names)})
        pictures += shown.values()
    folder = images or root
    dataset = dataset_of(pictures, names, PictureFolders([folder], root=folder))
    if tracked:
        dataset.notes.append(
            f"{tracked} tracks: their key frames are read, what CVAT interpolates between is not"
        )
    return dataset


def _keypoint_names(contents: list[dict]) -> tuple[str, ...]:
    names = []
    for content in contents:
        for label in content.get("labels") or ():
            names += [str(sub["name"]) for sub in label.get("sublabels") or ()]
            names += [str(label["name"])] if label.get("type") == "points" else []
    return tuple(dict.fromkeys(names))


def _frames(root: Path, task: Path, content: dict, several: bool) -> dict[int, PictureShapes]:
    """The pictures of a task by frame number, without deleted ones."""
    manifest = task / "data" / "manifest.jsonl"
    if not manifest.is_file():
        raise FileNotFoundError(f"no {manifest}; make the backup again, with its data")
    try:
        lines = [json.loads(line) for line in manifest.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise ValueError(
            f"{manifest} is not JSON lines ({error}); make the backup again"
        ) from error
    if any(line.get("type") == "video" for line in lines):
        raise ValueError(
            f"{task.name} is a film; export it as 'CVAT for images 1.1' with its pictures"
        )
    pictures = [line for line in lines if "name" in line and "width" in line]
    deleted = set((content.get("data") or {}).get("deleted_frames") or ())
    split = split_named(content.get("subset") or "")
    place = (task / "data").relative_to(root).as_posix()
    frames = {}
    for number, line in enumerate(pictures):
        if number not in deleted:
            name = safe_name(line["name"] + line.get("extension", ""))
            # Two tasks of a project may each have a picture of that name.
            frames[number] = PictureShapes(
                f"{task.name}/{name}" if several else name,
                (line["width"], line["height"]),
                split,
                location=f"{place}/{name}",
            )
    return frames


def _add_shapes(task: Path, frames: dict[int, PictureShapes], places: dict[str, int]) -> int:
    """Draw the shapes of a task onto its frames; the number of tracks."""
    path = task / "annotations.json"
    jobs = read_json(path, "a backup of CVAT")
    try:
        for job in jobs:
            for shape in (*job.get("shapes", ()), *_key_frames(job)):
                if shape["frame"] in frames:
                    _add_shape(frames[shape["frame"]], shape, places)
        return sum(len(job.get("tracks", ())) for job in jobs)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no list of jobs with shapes ({error!r})") from error


def _key_frames(job: dict) -> Iterator[dict]:
    """The key frames of tracks as shapes; a skeleton's elements are tracks themselves."""
    for track in job.get("tracks", ()):
        for shape in track["shapes"]:
            if not shape.get("outside"):
                elements = [
                    {**key_frame, "label": element["label"]}
                    for element in track.get("elements", ())
                    for key_frame in element["shapes"]
                    if key_frame["frame"] == shape["frame"]
                ]
                yield {**shape, "label": track["label"], "elements": elements}


def _add_shape(picture: PictureShapes, shape: dict, places: dict[str, int]) -> None:
    label, kind, group = shape["label"], shape["type"], str(shape.get("group") or "")
    if kind == "skeleton":
        keypoints = np.zeros((len(places), 3))
        for element in shape.get("elements", ()):
            if not element.get("outside") and element["label"] in places:
                keypoints[places[element["label"]]] = (*element["points"], _visibility(element))
        picture.instances.append(Instance(None, keypoints, label))
    elif kind == "rectangle":
        left, top, right, bottom = map(float, shape["points"])
        picture.boxes.append(LooseBox((left, top, right - left, bottom - top), label, group))
    elif kind == "points":
        x, y = map(float, shape["points"])
        if label in places:
            picture.points.append(LoosePoint(label, x, y, _visibility(shape), group))
    else:
        picture.others.append(kind)


def _visibility(shape: dict) -> int:
    return 1 if shape.get("occluded") else 2
