"""Recognition of a label format by the files of an export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert import FORMATS
from equikpt.data_tools.convert.input_files import read_yaml, unpack

MAX_DEPTH = 2
"""Folders below the given one that are looked into, where it shows no format itself."""

SUFFIXES = {".slp": "sleap", ".xml": "cvat", ".csv": "dlc", ".h5": "dlc", ".hdf5": "dlc"}
"""Formats of single files."""

TASK_KEYS = {"annotations", "completions", "data", "image"}
"""Keys of a task of Label Studio, one of which it has in every kind of export."""

ANIMALPOSE = {"dog", "cat", "sheep", "horse", "cow"}


@dataclass(frozen=True)
class Guess:
    """A format and what shows it.

    Args:
        format_name: A format of :data:`~equikpt.data_tools.convert.FORMATS`.
        source: What its reader takes: the file, or the folder; of a zip, where it was unpacked.
        seen: The file, by its name below the given path.
    """

    format_name: str
    source: Path
    seen: str

    @property
    def reason(self) -> str:
        """One sentence: ``annotations.xml, CVAT for images 1.1: cvat``."""
        about = FORMATS[self.format_name].about.split(",")[0].split(" (")[0]
        return f"{self.seen}, {about}: {self.format_name}"


def guess_format(path: Path) -> Guess:
    """Recognise the labels of a folder, a zip or a file.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: No format is recognised, or several.
    """
    if not path.exists():
        raise FileNotFoundError(f"no {path}; give the export of a labelling tool")
    root = unpack(path) if path.suffix.lower() == ".zip" else path
    found = _of_file(root) if root.is_file() else _of_folder(root)
    if not found and root.is_dir():
        zips = [file for file in root.iterdir() if file.suffix.lower() == ".zip"]
        if len(zips) == 1:
            return guess_format(zips[0])
        found = [Guess("", file, file.name) for file in sorted(zips)]
    names = sorted({guess.format_name for guess in found})
    if len(found) == 1 and names[0]:
        return found[0]
    if not found:
        seen = sorted(p.name for p in (root.iterdir() if root.is_dir() else [root]))
        raise ValueError(
            f"{path} shows no known format (it has {format_examples(seen) or 'nothing'}); say with "
            f"--from of which it is: {', '.join(FORMATS)}"
        )
    several = format_examples([guess.reason if names[0] else guess.seen for guess in found])
    raise ValueError(
        f"{path} may be several things ({several}); give the file or folder of one of them"
        + (f", or say with --from which to read: {', '.join(names)}" if len(names) > 1 else "")
    )


def _of_folder(root: Path) -> list[Guess]:
    """Guess from the folder itself or, without anything, from the next folders below it."""
    level = [root]
    for _ in range(MAX_DEPTH + 1):
        found = [
            guess
            for folder in level
            for recognise in (_cvat, _yolo, _deeplabcut, _sleap, _json)
            for guess in recognise(folder, root)
        ]
        if found:
            return found
        level = [below for folder in level for below in sorted(folder.iterdir()) if _shown(below)]
    return []


def _shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__"))


def _of_file(path: Path) -> list[Guess]:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _described(path, path.parent)
    if suffix == ".json":
        return [Guess(name, path, path.name) for name in _json_formats(path)]
    return [Guess(SUFFIXES[suffix], path, path.name)] if suffix in SUFFIXES else []


def _cvat(folder: Path, root: Path) -> Iterator[Guess]:
    for name in ("annotations.xml", "project.json", "task.json"):
        if (folder / name).is_file():
            yield Guess("cvat", folder, _below(folder / name, root))
            return


def _yolo(folder: Path, root: Path) -> Iterator[Guess]:
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        yield from (guess for guess in _described(path, root) if guess.format_name == "yolo-pose")


def _described(path: Path, root: Path) -> list[Guess]:
    """A YOLO-pose description, or the configuration of a project of DeepLabCut."""
    content = read_yaml(path)
    if isinstance(content, dict) and "kpt_shape" in content:
        return [Guess("yolo-pose", path, _below(path, root))]
    if isinstance(content, dict) and {"bodyparts", "multianimalbodyparts"} & set(content):
        return [Guess("dlc", path.parent, _below(path, root))]
    return []


def _deeplabcut(folder: Path, root: Path) -> Iterator[Guess]:
    for pattern in ("labeled-data/*/CollectedData*", "CollectedData*", "*/CollectedData*"):
        tables = [path for path in folder.glob(pattern) if path.suffix in (".csv", ".h5")]
        if tables:
            yield Guess("dlc", folder, _below(min(tables), root))
            return


def _sleap(folder: Path, root: Path) -> Iterator[Guess]:
    yield from (Guess("sleap", path, _below(path, root)) for path in sorted(folder.glob("*.slp")))


def _json(folder: Path, root: Path) -> Iterator[Guess]:
    """One guess for all files of a format; files of another kind, such as notes, are none."""
    for pattern in ("annotations/*.json", "*.json", "*/*.json"):
        kinds: dict[str, list[Path]] = {}
        for path in sorted(folder.glob(pattern)):
            for name in _json_formats(path):
                kinds.setdefault(name, []).append(path)
        for name, paths in kinds.items():
            one = len(paths) == 1 and name != "ap10k"
            yield Guess(name, paths[0] if one else folder, _below(paths[0], root))
        if kinds:
            return


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if root.is_dir() else path.name


# --- JSON ---


class _Category(msgspec.Struct):
    name: Any = None
    keypoints: Any = None


class _Annotation(msgspec.Struct):
    keypoints: list | None = None


def _json_formats(path: Path) -> list[str]:
    """The format of a JSON file; none where it holds something else, such as results."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
    if content.startswith(b"["):
        rows = _decoded(content, list[dict[str, msgspec.Raw]]) or []
        return ["label-studio"] if rows and TASK_KEYS & set(rows[0]) else []
    parts = _decoded(content, dict[str, msgspec.Raw]) or {}
    if not {"images", "annotations", "categories"} <= set(parts):
        return []
    if path.name.startswith("ap10k-"):
        return ["ap10k"]
    if bytes(parts["images"]).lstrip().startswith(b"{"):
        return ["animalpose"]
    categories = _decoded(bytes(parts["categories"]), list[_Category]) or []
    annotations = _decoded(bytes(parts["annotations"]), list[_Annotation]) or []
    return [_unnamed(categories, annotations)]


def _unnamed(categories: list[_Category], annotations: list[_Annotation]) -> str:
    """Known data sets whose files do not name their keypoints; ``coco`` for all others."""
    if any(row.keypoints for row in categories):
        return "coco"
    count = max((len(row.keypoints or ()) // 3 for row in annotations), default=0)
    classes = {row.name for row in categories}
    if count == 22 and classes == {"horse"}:
        return "horse10"
    return "animalpose" if count == 20 and classes and classes <= ANIMALPOSE else "coco"


def _decoded(content: bytes, kind: Any) -> Any:
    """The JSON as far as ``kind`` asks for it, or None; the format's reader says what is wrong."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
