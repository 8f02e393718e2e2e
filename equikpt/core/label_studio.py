"""Keypoints in the JSON that Label Studio exports (https://labelstud.io/guide/export)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import msgspec

from equikpt.core.coco.checks import is_number
from equikpt.core.issues import format_examples
from equikpt.core.typed_json import read_json, refuse_wrong_types

Percent = tuple[float, float]
"""x and y as percentages of the image's width and height, from its upper left corner."""

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""Prefix that Label Studio gives the name of an uploaded file."""

INTERFACE_FILE = "labeling_interface.xml"
"""The code of a project's labelling interface, where it lies beside the export: all labels, in
order, and the key of the image."""

_IMAGE = re.compile(r"\.(bmp|dcm|dicom|jpe?g|png|tiff?|webp)$", re.IGNORECASE)


AN_EXPORT = "an export of Label Studio as JSON, not as JSON-MIN or CSV"

Number = float | None
Id = str | int | None


class _Value(msgspec.Struct):
    """Position of a region, in percent, and its labels."""

    x: Number = None
    y: Number = None
    width: Number = None
    height: Number = None
    rotation: Number = None
    keypointlabels: list[str] | None = None
    rectanglelabels: list[str] | None = None


class _Region(msgspec.Struct):
    """A point, a rectangle, another shape, or a relation of two."""

    id: Id = None
    type: str | None = None
    value: _Value | None = None
    parentID: Id = None
    from_id: Id = None
    to_id: Id = None
    original_width: Number = None
    original_height: Number = None
    image_rotation: Number = None
    score: Number = None


class _Entry(msgspec.Struct):
    """An annotation or a prediction."""

    result: list[_Region] | None = None
    was_cancelled: bool | None = None


class _Row(msgspec.Struct):
    """A task of an export; some name their predictions by id alone."""

    annotations: list[_Entry]
    id: Id = None
    file_upload: str | None = None
    data: dict[str, Any] | None = None
    predictions: list[_Entry | int | str] | None = None


@dataclass(frozen=True)
class Task:
    """The labels of one image.

    Args:
        number: The task's id, for messages.
        file_name: Name of the image, without folders; with the prefix of an upload, if any.
        points: All points of each label, in percent; one is usual, several are for the caller to
            judge. They are those of the newest annotation that was not cancelled.
        size_px: Width and height that the export states, or None.
        annotations: Number of times that the image was labelled.
        rotation: Degrees by which the image was turned in Label Studio while it was labelled.
        location: ``file_name`` with its folders, as far as the task states them.
    """

    number: int | str
    file_name: str
    points: dict[str, tuple[Percent, ...]]
    size_px: tuple[int, int] | None = None
    annotations: int = 1
    rotation: float = 0.0
    location: str = ""

    @property
    def names_on_disk(self) -> tuple[str, ...]:
        """Names under which the image may lie: as exported, and as it was before the upload."""
        bare = UPLOAD_PREFIX.sub("", self.file_name)
        return (self.file_name,) if bare == self.file_name else (self.file_name, bare)


def is_list(path: str | Path) -> bool:
    """Tell whether a JSON file begins as a list, which Label Studio writes; COCO is an object."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(1024).lstrip().startswith("[")


def read_rows(path: str | Path) -> list[dict]:
    """Read an export of the format "JSON" as it is, or raise ``ValueError``."""
    content = read_json(Path(path), AN_EXPORT)
    refuse_wrong_types(content, list[_Row], str(path), AN_EXPORT)
    if not content:
        raise ValueError(f"{path} has no tasks; give {AN_EXPORT}")
    return content


def read_tasks(path: str | Path) -> list[Task]:
    """Read an export of the format "JSON": a task for each image, unlabelled ones without points.

    Raises:
        ValueError: It is no such export, or a task names no image or has a broken point.
    """
    return tasks_of(read_rows(path), Path(path))


def tasks_of(rows: Sequence[dict], path: Path) -> list[Task]:
    """Take the tasks from the rows that :func:`read_rows` returned."""
    interface = read_interface(path)
    images = [] if interface is None else [str(tag.get("value")) for tag in interface.iter("Image")]
    keys = [name.removeprefix("$") for name in images if name.startswith("$")]
    return [
        _task(row, f"{path}, task {row.get('id', index)}", keys) for index, row in enumerate(rows)
    ]


def read_interface(path: Path) -> ElementTree.Element | None:
    """Read the labelling interface beside an export, None without one.

    Raises:
        ValueError: It is no XML.
    """
    interface = path.with_name(INTERFACE_FILE)
    if not interface.is_file():
        return None
    try:
        return ElementTree.parse(interface).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{interface} is no labelling interface ({error})") from error


def newest(entries: Sequence[Any]) -> tuple[list[dict], int]:
    """Find the regions of the newest entry that was not cancelled, and the number of entries.

    Exports list entries in no fixed order; the times are ISO 8601, which sorts as text.
    """
    valid = [entry for entry in entries if isinstance(entry, dict)]
    valid = [entry for entry in valid if not entry.get("was_cancelled")]
    chosen: dict = max(
        valid, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""), default={}
    )
    return chosen.get("result") or [], len(valid)


def stated_size(region: dict) -> tuple[int, int] | None:
    """Read width and height in px that a region states of its image, None where it does not."""
    size = [region.get(side) or 0 for side in ("original_width", "original_height")]
    if not all(is_number(length) and length >= 1 for length in size):
        return None
    return round(size[0]), round(size[1])


def _task(row: dict, where: str, keys: Sequence[str]) -> Task:
    regions, count = newest(row["annotations"])
    points: dict[str, list[Percent]] = {}
    size_px, rotation = None, 0.0
    for region in regions:
        if region.get("type") != "keypointlabels":
            continue
        value: dict[str, Any] = region.get("value") or {}
        x, y = value.get("x"), value.get("y")
        for label in value.get("keypointlabels") or ():
            if not (is_number(x) and is_number(y)):
                raise ValueError(
                    f"{where}, {label} has x {x!r} and y {y!r}; expected percentages of the "
                    "image's size"
                )
            points.setdefault(label, []).append((float(value["x"]), float(value["y"])))
        size_px = stated_size(region) or size_px
        rotation = float(region.get("image_rotation") or 0) or rotation
    location = _location(row, where, keys)
    return Task(
        row.get("id", "?"),
        location.rsplit("/", 1)[-1],
        {label: tuple(found) for label, found in points.items()},
        size_px,
        count,
        rotation,
        location,
    )


def _location(row: dict, where: str, keys: Sequence[str]) -> str:
    """Path of a task's image, with ``/``.

    ``file_upload`` counts where it is an image (it may be the list that was imported), then the
    key of the interface, then ``image``, then the one path in ``data``.
    """
    upload, data = _clean(row.get("file_upload") or ""), row.get("data") or {}
    located = {key: _path(value) for key, value in data.items() if isinstance(value, str)}
    images = {key: name for key, name in located.items() if _IMAGE.search(name)}
    chosen = [upload] if _IMAGE.search(upload) else []
    chosen += [located[key] for key in (*keys, "image") if located.get(key)]
    if not chosen and len(images) > 1:
        shown = format_examples([f"data.{key}" for key in images])
        raise ValueError(
            f"{where} names several images ({shown}); put the labelling interface beside the "
            f"export as {INTERFACE_FILE}"
        )
    path = next(iter([*chosen, *images.values(), upload]))
    if not path.rsplit("/", 1)[-1]:
        raise ValueError(f"{where} names no image under 'file_upload' or 'data'")
    return path


def _path(location: str) -> str:
    """The path in a path, a URL or a local file (?d=…)."""
    try:
        parts = urlsplit(location)
    except ValueError:  # such as an open bracket
        return _clean(location)
    served = parse_qs(parts.query).get("d")
    return _clean(served[0] if served else parts.path if parts.netloc or parts.query else location)


def _clean(path: str) -> str:
    return unquote(path).replace("\\", "/")
