"""CVAT: an export, a backup of a project or task, or a zip of either.

In a backup ``project.json`` names the labels, ``task_N/task.json`` a task,
``task_N/annotations.json`` its shapes by frame number, and ``task_N/data/manifest.jsonl`` the
images in the order of the frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from equikpt.core.coco.checks import is_number
from equikpt.core.typed_json import Whole, parse_json, read_json, refuse_wrong_types
from equikpt.data_tools.convert import cvat_xml
from equikpt.data_tools.convert.cvat_xml import NUMBERS, Shape, ShapedImage
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.input_files import unpack
from equikpt.data_tools.convert.names import safe_name, split_named
from equikpt.data_tools.convert.records import SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme

A_BACKUP = "a backup of CVAT"


class _Label(msgspec.Struct):
    name: str
    type: str | None = None
    sublabels: list[_Label] | None = None
    svg: str | None = None


class _Data(msgspec.Struct):
    deleted_frames: list[Whole] | None = None


class _Described(msgspec.Struct):  # project.json or task.json
    labels: list[_Label] | None = None
    data: _Data | None = None
    subset: str | None = None


class _Image(msgspec.Struct):  # a line of manifest.jsonl
    name: str | None = None
    extension: str | None = None
    width: Whole | None = None
    height: Whole | None = None
    type: str | None = None


class _Drawn(msgspec.Struct, kw_only=True):
    type: str | None = None
    points: list[float] | None = None
    rotation: float | None = None
    occluded: bool | None = None
    outside: bool | None = None


class _Element(_Drawn, kw_only=True):  # a point of a skeleton
    label: str


class _KeyFrame(_Drawn, kw_only=True):  # a shape of a track
    frame: Whole


class _Shape(_KeyFrame, kw_only=True):
    label: str
    type: str
    group: Whole | None = None
    elements: list[_Element] | None = None


class _ElementTrack(msgspec.Struct):
    label: str
    shapes: list[_KeyFrame]


class _Track(_ElementTrack):
    group: Whole | None = None
    elements: list[_ElementTrack] | None = None


class _Job(msgspec.Struct):
    shapes: list[_Shape] | None = None
    tracks: list[_Track] | None = None


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read ``annotations.xml``, a folder with it, a backup of a project or task, or a zip."""
    root = unpack(source) if source.suffix.lower() == ".zip" else source
    project, task = root / "project.json", root / "task.json"
    if not project.is_file() and not task.is_file():
        return cvat_xml.read(root, scheme, images)
    tasks = [root] if task.is_file() else sorted(root.glob("task_*"))
    if not tasks:
        raise FileNotFoundError(f"no task in {root}; make the backup again, with tasks")
    described = [
        _typed(path, _Described)
        for path in (project, *(folder / "task.json" for folder in tasks))
        if path != project or project.is_file()
    ]
    shaped: list[ShapedImage] = []
    tracked = 0
    for folder, content in zip(tasks, described[-len(tasks) :], strict=True):
        frames = _frames(root, folder, content, several=len(tasks) > 1)
        tracked += _add_shapes(folder / "annotations.json", frames)
        shaped += frames.values()
    names = scheme.keypoints or _keypoint_names(described)
    folders = ImageFolders([images or root], root=images or root)
    dataset = cvat_xml.dataset_of(shaped, names, folders)
    dataset.links = cvat_xml.links_of_drawings(
        label.get("svg") or "" for content in described for label in content.get("labels") or ()
    )
    if tracked:
        dataset.notes.append(
            f"{tracked} tracks: their key frames are read, what CVAT interpolates between is not"
        )
    return dataset


def _typed(path: Path, record: object) -> dict:
    content = read_json(path, A_BACKUP)
    refuse_wrong_types(content, record, str(path), A_BACKUP)
    return content


def _keypoint_names(contents: Sequence[dict]) -> tuple[str, ...]:
    names = []
    for label in (label for content in contents for label in content.get("labels") or ()):
        names += [sub["name"] for sub in label.get("sublabels") or ()]
        names += [label["name"]] if label.get("type") == "points" else []
    return tuple(dict.fromkeys(names))


def _frames(root: Path, task: Path, content: dict, several: bool) -> dict[int, ShapedImage]:
    """The images of a task by frame number, without deleted ones."""
    manifest = task / "data" / "manifest.jsonl"
    if not manifest.is_file():
        raise FileNotFoundError(f"no {manifest}; make the backup again, with its data")
    images = [line for line in _lines(manifest) if line.get("name") and line.get("width")]
    if not images:
        raise ValueError(f"{manifest} lists no images; make the backup again, with its data")
    deleted = set((content.get("data") or {}).get("deleted_frames") or ())
    split = split_named(content.get("subset") or "")
    folder = (task / "data").relative_to(root).as_posix()
    frames = {}
    for number, line in enumerate(images):
        if number not in deleted:
            name = safe_name(line["name"] + (line.get("extension") or ""))
            # Two tasks of a project may each have an image of that name.
            own, size = f"{task.name}/{name}" if several else name, line.get("height") or 0
            frames[number] = ShapedImage(
                own, (line["width"], size), split, location=f"{folder}/{name}"
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
            refuse_wrong_types(lines[-1], _Image, where, A_BACKUP)
    if any(line.get("type") == "video" for line in lines):
        raise ValueError(
            f"{manifest} is of a video; export it as 'CVAT for images 1.1' with its images"
        )
    return lines


def _add_shapes(path: Path, frames: dict[int, ShapedImage]) -> int:
    """Draw the shapes of a task onto its frames, and count its tracks."""
    jobs = _typed(path, list[_Job])
    tracks = [track for job in jobs for track in job.get("tracks") or ()]
    shapes = [shape for job in jobs for shape in job.get("shapes") or ()]
    for shape in (*shapes, *_key_frames(tracks)):
        if shape["frame"] in frames:
            frames[shape["frame"]].shapes.append(_shape(shape, path))
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


def _shape(row: dict, path: Path) -> Shape:
    kind, numbers = row.get("type"), row.get("points") or []
    shape = Shape(
        str(kind),
        row["label"],
        visibility=1 if row.get("occluded") else 2,
        group=str(row.get("group") or ""),
        rotation_deg=row.get("rotation") or 0.0,
    )
    if kind == "skeleton":
        drawn = [point for point in row.get("elements") or () if not point.get("outside")]
        return replace(shape, elements=[_shape({**p, "type": "points"}, path) for p in drawn])
    if kind not in NUMBERS:
        return shape
    if len(numbers) != NUMBERS[kind] or not all(map(is_number, numbers)):
        raise ValueError(
            f"{path}: a shape of '{row['label']}' has the coordinates {numbers[:8]}; expected "
            f"{NUMBERS[kind]} numbers"
        )
    return replace(shape, numbers=list(map(float, numbers)))
