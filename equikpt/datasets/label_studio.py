"""Keypoints in the JSON that Label Studio exports (https://labelstud.io/guide/export)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

Percent = tuple[float, float]
"""x and y as percentages of the picture's width and height, from its upper left corner."""

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


@dataclass(frozen=True)
class Task:
    """The labels of one picture.

    Args:
        number: The task's id, for messages.
        file_name: Name of the picture, without folders; with the prefix of an upload, if any.
        points: All points of each label, in percent; one is usual, several are for the caller to
            judge.
        size_px: Width and height that the export states, or None.
        annotations: How many people (or how often somebody) labelled the picture. ``points`` are
            those of the newest one that was not cancelled.
        rotation: Degrees by which the picture was turned in Label Studio while it was labelled.
    """

    number: int | str
    file_name: str
    points: dict[str, tuple[Percent, ...]]
    size_px: tuple[int, int] | None = None
    annotations: int = 1
    rotation: float = 0.0

    @property
    def names_on_disk(self) -> tuple[str, ...]:
        """Under which names the picture may lie: as exported, and as it was before the upload."""
        bare = UPLOAD_PREFIX.sub("", self.file_name)
        return (self.file_name,) if bare == self.file_name else (self.file_name, bare)


def is_list(path: str | Path) -> bool:
    """Whether a JSON file begins as a list, which Label Studio writes; COCO is an object."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(1024).lstrip().startswith("[")


def read_tasks(path: str | Path) -> list[Task]:
    """Read an export of the format "JSON".

    Returns:
        A task for each picture, in the order of the file; unlabelled ones have no points.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such export, or a task names no picture or has a broken point.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no annotation file at {path}; export it from Label Studio")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); export it again") from error
    if not (
        isinstance(content, list)
        and content
        and all(
            isinstance(row, dict) and isinstance(row.get("annotations"), list) for row in content
        )
    ):
        raise ValueError(
            f"{path} is not a list of Label Studio tasks with 'annotations'; export it as JSON, "
            "not as JSON-MIN or CSV"
        )
    return [_task(row, f"{path}, task {row.get('id', index)}") for index, row in enumerate(content)]


def _task(row: dict, where: str) -> Task:
    valid = [a for a in row["annotations"] if isinstance(a, dict) and not a.get("was_cancelled")]
    # Exports list annotations in no fixed order; the times are ISO 8601, which sorts as text.
    newest = max(
        valid, key=lambda a: str(a.get("updated_at") or a.get("created_at") or ""), default={}
    )
    points: dict[str, list[Percent]] = {}
    size_px, rotation = None, 0.0
    for result in newest.get("result", ()):
        if result.get("type") != "keypointlabels":
            continue
        value = result.get("value", {})
        for label in value.get("keypointlabels") or ():
            points.setdefault(label, []).append(_percent(value, f"{where}, {label}"))
        if result.get("original_width") and result.get("original_height"):
            size_px = int(result["original_width"]), int(result["original_height"])
        rotation = float(result.get("image_rotation") or 0) or rotation
    return Task(
        number=row.get("id", "?"),
        file_name=_file_name(row, where),
        points={label: tuple(found) for label, found in points.items()},
        size_px=size_px,
        annotations=len(valid),
        rotation=rotation,
    )


def _percent(value: dict, where: str) -> Percent:
    try:
        return float(value["x"]), float(value["y"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{where} has x {value.get('x')!r} and y {value.get('y')!r}; expected percentages of "
            "the picture's size"
        ) from None


def _file_name(row: dict, where: str) -> str:
    for candidate in _locations(row):
        name = unquote(candidate).replace("\\", "/").rsplit("/", 1)[-1]
        if name:
            return name
    raise ValueError(f"{where} names no picture under 'file_upload' or 'data.image'")


def _locations(row: dict) -> Iterator[str]:
    """Where a task says that its picture is: an upload, a path, a URL, a local file (?d=…)."""
    if isinstance(row.get("file_upload"), str):
        yield row["file_upload"]
    data = row.get("data")
    if isinstance(data, dict) and isinstance(data.get("image"), str):
        parts = urlsplit(data["image"])
        yield parse_qs(parts.query).get("d", [parts.path])[0]
