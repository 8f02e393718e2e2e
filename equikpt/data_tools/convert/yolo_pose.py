"""YOLO-pose: a ``data.yaml`` and one text file a picture, as Ultralytics and Roboflow write it.

A line is one object: ``class cx cy w h`` and then ``x y [visibility]`` for each keypoint, all but
class and visibility as fractions of the picture's width and height.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from equikpt.data_tools.convert.naming import flip_of
from equikpt.data_tools.convert.pictures import IMAGE_SUFFIXES, size_px
from equikpt.data_tools.convert.records import (
    SPLITS,
    BoxPx,
    Instance,
    LabelledImage,
    SourceDataset,
)
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.datasets.coco_checks import named

BOX_TOLERANCE = 0.01
"""Boxes may pass the border by rounding; further out, the numbers are no fractions."""


@dataclass(frozen=True)
class _Description:
    """What ``data.yaml`` says."""

    path: Path
    keypoints: tuple[str, ...]
    values_a_keypoint: int
    classes: tuple[str, ...]
    kept_classes: frozenset[int]
    folders: dict[str, list[Path]]
    notes: tuple[str, ...]


def read(folder: Path, scheme: KeypointScheme) -> SourceDataset:
    """Read a YOLO-pose dataset.

    Args:
        folder: The folder with ``data.yaml``, or that file.
        scheme: Names of the keypoints, which only a ``data.yaml`` with ``kpt_names`` has.

    Raises:
        FileNotFoundError: If there is no ``data.yaml``, or a split's pictures are not there.
        ValueError: If ``data.yaml``, a label file or a picture is not what the format asks for.
    """
    description = _describe(folder, scheme)
    dataset = SourceDataset({}, list(description.notes), description.keypoints)
    for split, folders in description.folders.items():
        paths = sorted(path for folder in folders for path in _pictures(folder))
        if not paths:
            raise FileNotFoundError(
                f"no pictures for split '{split}' in {', '.join(map(str, folders))}; "
                f"correct '{split}' in {description.path}"
            )
        dataset.splits[split] = _read_images(paths, description, split)
        dataset.notes += _label_notes(split, folders, paths)
    return dataset


def _describe(folder: Path, scheme: KeypointScheme) -> _Description:
    path = folder if folder.is_file() else folder / "data.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}; give the folder of a YOLO-pose dataset")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML ({error})") from error
    shape = content.get("kpt_shape") if isinstance(content, dict) else None
    if not (isinstance(shape, list) and len(shape) == 2 and shape[1] in (2, 3)):
        raise ValueError(
            f"{path} has kpt_shape {shape}; expected [number of keypoints, 2 or 3], so this is no "
            "YOLO-pose dataset"
        )
    scheme = replace(scheme, keypoints=scheme.keypoints or _keypoint_names(content, path))
    if shape[0] != len(scheme.keypoints):
        raise ValueError(
            f"{path} has {shape[0]} keypoints and the mapping names {len(scheme.keypoints)}; "
            "name each keypoint once, in the order of the label files"
        )
    classes, kept = _classes(content.get("names"), scheme, path)
    folders, notes = _split_folders(content, path)
    return _Description(
        path=path,
        keypoints=scheme.keypoints,
        values_a_keypoint=shape[1],
        classes=classes,
        kept_classes=kept,
        folders=folders,
        notes=(*notes, *_flip_notes(content.get("flip_idx"), scheme, path)),
    )


def _keypoint_names(content: dict, path: Path) -> tuple[str, ...]:
    """Ultralytics' ``kpt_names``: a list of names, for each class or for all."""
    names = content.get("kpt_names")
    lists: list = list(names.values()) if isinstance(names, dict) else [names]
    if not lists or not all(isinstance(row, list) and row == lists[0] for row in lists):
        raise ValueError(
            f"{path} does not name its keypoints under 'kpt_names', the same for every class; list "
            "them under 'keypoints' in a --mapping"
        )
    return tuple(map(str, lists[0]))


def _classes(
    names: object, scheme: KeypointScheme, path: Path
) -> tuple[tuple[str, ...], frozenset[int]]:
    """All classes, and the indices of those to convert."""
    if isinstance(names, dict):
        names = [names[index] for index in sorted(names)]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path} has no class names; expected a list under 'names'")
    names = [str(name) for name in names]
    if not scheme.classes and len(names) > 1:
        raise ValueError(
            f"{path} has the classes {', '.join(names)}; say under 'classes' in the mapping which "
            "of them to convert"
        )
    unknown = sorted(set(scheme.classes) - set(names))
    if unknown:
        raise ValueError(
            f"the mapping asks for class '{unknown[0]}', and {path} has {', '.join(names)}"
        )
    kept = scheme.classes or names
    return tuple(names), frozenset(index for index, name in enumerate(names) if name in kept)


def _split_folders(content: dict, path: Path) -> tuple[dict[str, list[Path]], list[str]]:
    folders: dict[str, list[Path]] = {}
    notes = []
    for split in SPLITS:
        given = content.get(split, content.get("valid") if split == "val" else None)
        if not given:
            continue
        listed = [str(entry) for entry in (given if isinstance(given, list) else [given])]
        found = [_find_folder(entry, path, content.get("path")) for entry in listed]
        existing = [folder for folder in found if folder is not None]
        if len(existing) < len(listed):
            lost = listed[found.index(None)]
            if split != "test":
                raise FileNotFoundError(
                    f"{path} names '{lost}' for split '{split}', and there is no such folder from "
                    f"{path.parent}; correct the path"
                )
            notes.append(f"{path.name} names '{lost}' for the test split, which is absent: no test")
            continue
        folders[split] = existing
    if not folders:
        raise ValueError(f"{path} names no train, val or test folder; add at least one")
    return folders, notes


def _find_folder(entry: str, path: Path, root: object) -> Path | None:
    """The folder meant by ``entry``: from ``path:``, from the file, or Roboflow's one level off."""
    bases = [path.parent / str(root)] if root else []
    # Roboflow writes `../train/images` for a folder that stands beside data.yaml.
    candidates = [base / entry for base in (*bases, path.parent)]
    candidates.append(path.parent / entry.removeprefix("../"))
    return next((folder.resolve() for folder in candidates if folder.is_dir()), None)


def _flip_notes(flip_idx: object, scheme: KeypointScheme, path: Path) -> list[str]:
    right = list(scheme.flip_idx or flip_of(scheme.keypoints))
    if flip_idx is None or flip_idx == right:
        return []
    return [
        f"the flip_idx of {path.name} is wrong and is ignored: it is {flip_idx}, and the names of "
        f"the keypoints ask for {right}. Training on the output flips by name"
    ]


def _pictures(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]


def _label_path(picture: Path) -> Path:
    """``…/images/…/a.jpg`` has its labels in ``…/labels/…/a.txt``."""
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _label_notes(split: str, folders: list[Path], paths: list[Path]) -> list[str]:
    labels = {_label_path(path) for path in paths}
    bare = [path.name for path in paths if not _label_path(path).is_file()]
    notes = []
    if bare:
        notes.append(f"{split}: pictures without a label file ({named(bare)})")
    label_folders = {_label_path(folder / "a.jpg").parent for folder in folders}
    orphans = [
        path.name
        for folder in sorted(label_folders)
        for path in sorted(folder.glob("*.txt"))
        if path not in labels and path.name != "classes.txt"
    ]
    if orphans:
        notes.append(f"{split}: label files without a picture ({named(orphans)})")
    return notes


def _read_images(paths: list[Path], description: _Description, split: str) -> list[LabelledImage]:
    def read_one(path: Path) -> LabelledImage:
        width, height = size_px(path)
        label = _label_path(path)
        lines = label.read_text().splitlines() if label.is_file() else []
        instances = tuple(
            instance
            for number, line in enumerate(lines, start=1)
            if line.strip()
            for instance in _instances(line, f"{label}:{number}", (width, height), description)
        )
        return LabelledImage(path, width, height, instances)

    with ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1))) as pool:
        return list(
            tqdm(pool.map(read_one, paths), total=len(paths), desc=f"reading {split}", disable=None)
        )


def _instances(
    line: str, where: str, size: tuple[int, int], description: _Description
) -> list[Instance]:
    """The object of a line, or none where its class is not asked for."""
    num_keypoints = len(description.keypoints)
    num_values = 5 + num_keypoints * description.values_a_keypoint
    try:
        values = [float(value) for value in line.split()]
    except ValueError as error:
        raise ValueError(f"{where} has a value that is no number ({error}); correct it") from error
    if len(values) != num_values or not all(map(math.isfinite, values)):
        raise ValueError(
            f"{where} has {len(values)} values; expected {num_values} finite ones: a class, a box "
            f"of 4, and {description.values_a_keypoint} for each of {num_keypoints} "
            "keypoints"
        )
    if values[0] not in range(len(description.classes)):
        raise ValueError(f"{where} has class {values[0]:g}; {description.path} names fewer")
    if values[0] not in description.kept_classes:
        return []
    box_px = _box_px(values[1:5], where, size)
    points = np.array(values[5:]).reshape(num_keypoints, -1)
    if points.shape[1] == 2:
        # Without a visibility column, the upper left corner stands for "not labelled".
        points = np.column_stack([points, np.where(points.any(axis=1), 2.0, 0.0)])
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise ValueError(f"{where} has a visibility other than 0, 1, 2; correct it")
    points[:, :2] *= size
    return [Instance(box_px, points, description.classes[int(values[0])])]


def _box_px(fractions: list[float], where: str, size: tuple[int, int]) -> BoxPx:
    centre, extent = np.array(fractions[:2]), np.array(fractions[2:])
    low, high = centre - extent / 2, centre + extent / 2
    if (extent <= 0).any() or (low < -BOX_TOLERANCE).any() or (high > 1 + BOX_TOLERANCE).any():
        raise ValueError(
            f"{where} has the box {fractions}; expected centre, width and height as fractions of "
            "the picture, inside it"
        )
    low, high = np.clip(low, 0, 1) * size, np.clip(high, 0, 1) * size
    return (*map(float, low), *map(float, high - low))  # type: ignore[return-value]  # two and two
