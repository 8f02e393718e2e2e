"""Files of COCO JSON, of data sets that are nearly that, and of results that belong to one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from equikpt.core.coco.checks import is_number
from equikpt.core.coco.file import (
    AnnotationRow,
    CategoryRow,
    Coco,
    ImageRow,
    as_number,
    load_coco,
)
from equikpt.core.typed_json import read_json, refuse_wrong_types
from equikpt.data_tools.convert.coco import from_contents
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.names import split_named
from equikpt.data_tools.convert.records import UNSPLIT, SourceDataset, noted
from equikpt.data_tools.convert.schemes import KeypointScheme, numbered_names
from equikpt.metainfo import correspondence

ANIMALPOSE_FILE = "AnimalPose's keypoints.json or MMPose's file"


def read(
    source: Path,
    scheme: KeypointScheme,
    images: Path | None = None,
    names: Sequence[str] = (),
    pattern: str = "*.json",
) -> SourceDataset:
    """Read COCO JSON: an annotation file, or a folder with one for each split.

    Args:
        source: As every reader's; see the package.
        scheme: Likewise.
        images: Likewise.
        names: Keypoints in file order where neither the file nor the scheme names them.
        pattern: Of the names of annotation files in a folder.
    """
    files = annotation_files(source, pattern)
    contents = {split: load_coco(path) for split, path in files.items()}
    folders = image_folders(files, images)
    names = scheme.keypoints or names
    if not names and scheme.numbered:
        rows = [
            row.get("keypoints") or () for each in contents.values() for row in each["annotations"]
        ]
        names = numbered_names(max(map(len, rows), default=0) // 3)
    dataset = from_contents(contents, files, folders, names)
    if pattern == "*.json":
        dataset.notes += left_out(source, files)
    return dataset


def annotation_files(source: Path, pattern: str = "*.json") -> dict[str, Path]:
    """Find annotation files by split.

    Args:
        source: A file, or a folder with ``annotations/`` (COCO), with files,
            or with a folder for each split (Roboflow).
        pattern: Of the file names to look at.
    """
    if source.is_file():
        return {split_named(source.stem): source}
    for level in (f"annotations/{pattern}", pattern, f"*/{pattern}"):
        found = sorted(source.glob(level))
        files: dict[str, Path] = {}
        for path in found:
            # Only a folder below says a split: that of a dataset may be named test_horses.
            folder = path.parent.name if level.startswith("*/") else ""
            split = split_named(path.stem) or split_named(folder)
            if len(found) == 1 and not split:
                return {UNSPLIT: path}
            if split in files:
                raise ValueError(
                    f"{files[split]} and {path} are both for split '{split}'; give one of them"
                )
            if split:
                files[split] = path
        if files:
            return files
    raise FileNotFoundError(
        f"no {pattern} with train, val or test in its name under {source}; give the annotation file"
    )


def left_out(source: Path, files: dict[str, Path]) -> list[str]:
    """A note on the JSON files beside those that are read, if there are any."""
    beside = {path for file in files.values() for path in file.parent.glob("*.json")}
    others = sorted(path.name for path in beside - set(files.values()))
    text = "JSON files whose names say no split are not read"
    return [] if source.is_file() else noted(text, others)


def image_folders(files: dict[str, Path], images: Path | None) -> dict[str, ImageFolders]:
    """Where the images of annotation files may lie, by split: ``images`` or around the file."""
    if images is not None:
        return dict.fromkeys(files, ImageFolders([images], root=images))
    folders = {}
    for split, path in files.items():
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        own = [root / "images" / split, root / split, root / f"{split}2017"] if split else []
        folders[split] = ImageFolders([*own, root, root / "images", root / "data"])
    return folders


def read_ap10k(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read AP-10K, of whose three random splits the first is taken, or one file of it."""
    pattern = "*.json" if source.is_file() else "ap10k-*-split1.json"
    dataset = read(source, scheme, images, correspondence.AP10K_FILE_NAMES, pattern)
    if source.is_dir():
        dataset.notes.append("of AP-10K's three splits the first is taken")
    return dataset


def read_horse10(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read Horse-10: 22 points of thoroughbreds, near (left) and off (right), without names.

    Its files swap width and height, give the bottom edge of a box for its top, number annotations
    from 0 and repeat the category; the reader of COCO puts each right.
    """
    return read(source, scheme, images, correspondence.HORSE10)


class NestedAnnotation(AnnotationRow):
    """An annotation whose keypoints may be a list each."""

    keypoints: list[float | list[float] | None] | None = None  # type: ignore[assignment]  # wider


class AnimalPoseFile(msgspec.Struct):
    """AnimalPose's own file, or COCO."""

    images: dict[str, str] | list[ImageRow]
    annotations: list[NestedAnnotation]
    categories: list[CategoryRow]


def read_animalpose(
    source: Path, scheme: KeypointScheme, images: Path | None = None
) -> SourceDataset:
    """Read AnimalPose: MMPose's files, which are COCO JSON, and its own ``keypoints.json``.

    Its own file maps image ids to names, gives boxes as two corners and keypoints as nested lists.
    """
    files = annotation_files(source)
    contents = {split: _animalpose_as_coco(path) for split, path in files.items()}
    names = scheme.keypoints or correspondence.ANIMALPOSE
    dataset = from_contents(contents, files, image_folders(files, images), names)
    dataset.notes += left_out(source, files)
    return dataset


def _animalpose_as_coco(path: Path) -> dict:
    content = read_json(path, ANIMALPOSE_FILE)
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(content.get(part) for part in parts):
        raise ValueError(f"{path} lacks one of {', '.join(parts)}; give an annotation file")
    refuse_wrong_types(content, AnimalPoseFile, str(path), ANIMALPOSE_FILE)
    images = content["images"]
    if isinstance(images, dict):
        images = [{"id": id_, "file_name": name} for id_, name in images.items()]
    rows = [
        {"id": number, **row, "keypoints": _flat(row.get("keypoints") or [])}
        for number, row in enumerate(content["annotations"], 1)
    ]
    converted = {"images": images, "annotations": rows, "categories": content["categories"]}
    refuse_wrong_types(converted, Coco, str(path), ANIMALPOSE_FILE)
    return converted


def _flat(keypoints: list) -> list:
    """One list of x, y, visibility; the nested ones have visibility 1 for a labelled point."""
    if not all(isinstance(point, list) and len(point) == 3 for point in keypoints):
        return keypoints
    nested = [(x, y, 2) if visible else (0, 0, 0) for x, y, visible in keypoints]
    return [value for point in nested for value in point]


def read_predictions(
    annotations: Path,
    results: Path,
    names: Sequence[str],
    images: Path | None = None,
    min_score: float = 0.0,
) -> SourceDataset:
    """Read images of a COCO file with what a model found on them instead of labels.

    Args:
        annotations: COCO file that lists the images and categories; it need not have labels.
        results: List of ``image_id``, ``category_id``, ``keypoints`` (x, y, score each; all 0 for
            one that the model does not give), ``score`` and perhaps ``bbox``.
        names: Keypoints in file order, for files that do not name them.
        images: Folder of the images.
        min_score: Keypoints below it are left out.
    """
    content = load_coco(annotations, parts=("images", "categories"))
    rows = read_json(results, "the results that tools/test.py --out writes")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{results} is not a list of COCO results; write it with test.py --out")
    refuse_wrong_types(rows, list[AnnotationRow], str(results), "what test.py --out wrote")
    known = {as_number(row.get("id")) for row in content["images"]}
    strangers = {as_number(row.get("image_id")) for row in rows} - known
    if strangers:
        raise ValueError(
            f"{results} is of {len(strangers)} images that {annotations} does not list, such as "
            f"id {min(map(str, strangers))}; give the file that was predicted on"
        )
    predicted, num_low = [], 0
    for index, row in enumerate(rows, start=1):
        values = row.get("keypoints")
        if not isinstance(values, list) or len(values) % 3 or not all(map(is_number, values)):
            where = f"{results}, result {index}"
            raise ValueError(f"{where} has no keypoints of x, y, score each; predict again")
        points = np.array(values, dtype=float).reshape(-1, 3)
        scores, is_given = points[:, 2].copy(), points.any(axis=1)
        is_low = is_given & (scores < min_score)
        points[:, 2] = 2
        points[is_low | ~is_given] = 0
        num_low += int(is_low.sum())
        keypoints = points.ravel().tolist()
        predicted.append({**row, "id": index, "keypoints": keypoints, "keypoint_scores": scores})
    split = split_named(annotations.stem)
    contents = {split: {**content, "annotations": predicted}}
    folders = image_folders({split: annotations}, images)
    dataset = from_contents(contents, {split: results}, folders, names)
    if num_low:
        dataset.notes.append(f"{num_low} predicted points score below {min_score:g}, left out")
    return dataset
