"""Find the annotation files of a folder of COCO JSON, their splits, and their images."""

from __future__ import annotations

import re
from pathlib import Path

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.records import UNSPLIT

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


def split_named(text: str) -> str:
    """The split that a file, folder or subset name speaks of; :data:`UNSPLIT` if none."""
    for word in re.split("[^a-z]+", text.lower()):
        if word in _SPLIT_WORDS:
            return _SPLIT_WORDS[word]
    return UNSPLIT


def annotation_files(source: Path, pattern: str = "*.json") -> dict[str, Path]:
    """Annotation files by split.

    Args:
        source: A file, or a folder with ``annotations/`` (COCO), with files,
            or with a folder for each split (Roboflow).
        pattern: Of the file names to look at.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a split has several.
    """
    if source.is_file():
        return {split_named(source.stem): source}
    for level in (f"annotations/{pattern}", pattern, f"*/{pattern}"):
        found = sorted(source.glob(level))
        # Only a folder below says a split: that of a dataset may be named test_horses.
        split_of = {
            path: split_named(path.stem)
            or (split_named(path.parent.name) if level.startswith("*/") else UNSPLIT)
            for path in found
        }
        if len(found) == 1 and not split_of[found[0]]:
            return {UNSPLIT: found[0]}
        files: dict[str, Path] = {}
        for path, split in split_of.items():
            if split in files:
                raise ValueError(
                    f"{files[split]} and {path} are both for split '{split}'; give one of them as "
                    "--input"
                )
            if split:
                files[split] = path
        if files:
            return files
    raise FileNotFoundError(
        f"no {pattern} with train, val or test in its name under {source}; give the annotation file"
    )


def left_out(source: Path, files: dict[str, Path]) -> list[str]:
    """A note on the JSON files beside those that are read, none without any."""
    if source.is_file():
        return []
    beside = {path for file in files.values() for path in file.parent.glob("*.json")}
    others = sorted(path.name for path in beside - set(files.values()))
    if not others:
        return []
    return [f"JSON files whose names say no split are not read ({format_examples(others)})"]


def image_folders(annotations: Path, split: str, images: Path | None) -> ImageFolders:
    """Where the images of an annotation file may lie."""
    if images is not None:
        return ImageFolders([images], root=images)
    beside = annotations.parent
    root = beside.parent if beside.name == "annotations" else beside
    places = [root / "images" / split, root / split, root / f"{split}2017"] if split else []
    return ImageFolders([*places, root, root / "images", root / "data"])
