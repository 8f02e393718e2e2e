"""The ``data.yaml`` of a YOLO-pose dataset, and what to write where there is none."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from reprlib import Repr

import yaml

from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.naming import flip_of
from equikpt.data_tools.convert.records import SPLITS
from equikpt.data_tools.convert.schemes import KeypointScheme, is_flip
from equikpt.data_tools.convert.text_file import read_text, read_yaml

FILE_NAME = "data.yaml"

_OTHER_KEYS = {"val": ("valid", "validation")}

MAX_GUESSED = 200
"""Label files that are looked at to guess what a missing ``data.yaml`` would say."""


_SHORT = Repr()
_SHORT.maxlist = _SHORT.maxother = 100
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """A value of a YAML file for messages, cut short: references may make it endless."""
    return _SHORT.repr(value)


@dataclass(frozen=True)
class Description:
    """Content of ``data.yaml``.

    Args:
        path: The file.
        keypoints: Names, of the file or of the user.
        values_a_keypoint: 2, or 3 with visibility.
        classes: All classes in order.
        kept_classes: Indices of those to convert.
        root: What ``path:`` says, if anything.
        entries: Folders, lists or images of each split.
        flip_idx: For each keypoint the index of its partner; empty where that is not stated.
        notes: One sentence each.
    """

    path: Path
    keypoints: tuple[str, ...]
    values_a_keypoint: int
    classes: tuple[str, ...]
    kept_classes: frozenset[int]
    root: object
    entries: dict[str, list[str]]
    flip_idx: tuple[int, ...]
    notes: tuple[str, ...]


def describe(folder: Path, scheme: KeypointScheme) -> Description:
    """Read the ``data.yaml`` of a folder, or the only other YAML file in it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it does not describe a YOLO-pose dataset.
    """
    path = folder if folder.is_file() else _find(folder)
    content = read_yaml(path)
    content = content if isinstance(content, dict) else {}
    shape = content.get("kpt_shape")
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(value) is int for value in shape)
        and shape[0] > 0
        and shape[1] in (2, 3)
    ):
        raise ValueError(
            f"{path} has kpt_shape {shown(shape)}; expected [number of keypoints, 2 or 3], so "
            "this is no YOLO-pose dataset"
        )
    scheme = replace(scheme, keypoints=scheme.keypoints or _keypoint_names(content, path))
    if shape[0] != len(scheme.keypoints):
        raise ValueError(
            f"{path} has {shape[0]} keypoints and the mapping names {len(scheme.keypoints)}; "
            "name each keypoint once, in the order of the label files"
        )
    classes, kept = _classes(content.get("names"), scheme, path)
    flip_idx, notes = _flip(content.get("flip_idx"), scheme, path)
    return Description(
        path=path,
        keypoints=scheme.keypoints,
        values_a_keypoint=shape[1],
        classes=classes,
        kept_classes=kept,
        root=content.get("path"),
        entries=_entries(content, path),
        flip_idx=flip_idx,
        notes=tuple(notes),
    )


def _find(folder: Path) -> Path:
    path = folder / FILE_NAME
    if path.is_file():
        return path
    others = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if len(others) == 1:
        return others[0]
    if others:
        raise FileNotFoundError(
            f"no {path}; give one of {', '.join(other.name for other in others)} instead of the "
            "folder"
        )
    labels = list(islice(folder.rglob("*.txt"), MAX_GUESSED))
    advice = f", or write that file, such as {_example(folder, labels)}" if labels else ""
    raise FileNotFoundError(f"no {path}; give the folder of a YOLO-pose dataset{advice}")


def _example(folder: Path, labels: list[Path]) -> str:
    """A ``data.yaml`` on one line, as far as folders and label files tell it."""
    rows = [line.split() for path in labels for line in read_text(path).splitlines()]
    rows = [row for row in rows if len(row) > 5 and re.fullmatch(r"\d{1,3}", row[0])]
    widths = Counter(len(row) - 5 for row in rows).most_common(1)
    width = widths[0][0] if widths else 0
    with_visibility = width % 3 == 0 and all(set(row[7::3]) <= {"0", "1", "2"} for row in rows)
    values = 2 if width and not with_visibility else 3
    last = max((int(row[0]) for row in rows), default=0)
    classes = [f"class{index}" for index in range(last + 1)]
    content = {
        **{split: _split_folder(folder, split) for split in ("train", "val")},
        "kpt_shape": [width // values or "NUMBER", values],
        "names": classes,
        "kpt_names": {index: ["NAME", "..."] for index in range(len(classes))},
    }
    text = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=math.inf)
    return f"{text.strip()} (the names of the keypoints may be in a --mapping instead)"


def _split_folder(folder: Path, split: str) -> str:
    """Roboflow has ``train/images``, Ultralytics ``images/train``."""
    below = [path.relative_to(folder) for path in folder.rglob("*") if path.is_dir()]
    named = [
        path.as_posix()
        for path in sorted(below, key=lambda path: (path.name != "images", len(path.parts)))
        if "labels" not in path.parts and split_named(path.as_posix()) == split
    ]
    return named[0] if named else "images"


def _keypoint_names(content: dict, path: Path) -> tuple[str, ...]:
    """Ultralytics' ``kpt_names``: a list of names, for each class or for all."""
    names = content.get("kpt_names")
    lists: list = list(names.values()) if isinstance(names, dict) else [names]
    if not lists or not all(
        isinstance(row, list) and row == lists[0] and all(map(_is_name, row)) for row in lists
    ):
        raise ValueError(
            f"{path} does not name its keypoints under 'kpt_names', the same for every class; list "
            "them under 'keypoints' in a --mapping"
        )
    return tuple(map(str, lists[0]))


def _classes(
    names: object, scheme: KeypointScheme, path: Path
) -> tuple[tuple[str, ...], frozenset[int]]:
    """All classes, and the indices of those to convert."""
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names or not all(map(_is_name, names)):
        raise ValueError(
            f"{path} has no class names; expected a list under 'names', or one numbered from 0"
        )
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


def _is_name(value: object) -> bool:
    """Tell a text from what YAML took for a number or for ``on`` and ``off``."""
    return isinstance(value, str | int | float)


def _entries(content: dict, path: Path) -> dict[str, list[str]]:
    """List what each split names."""
    entries: dict[str, list[str]] = {}
    for split in SPLITS:
        keys = (split, *_OTHER_KEYS.get(split, ()))
        given = next((content[key] for key in keys if content.get(key)), None)
        if given is None:
            continue
        listed: list = given if isinstance(given, list) else [given]
        if not all(isinstance(entry, str) for entry in listed):
            raise ValueError(
                f"{path} has '{split}: {shown(given)}'; expected a folder, a text file that lists "
                "images, or a list of them"
            )
        entries[split] = listed
    if not entries:
        raise ValueError(f"{path} names no train, val or test folder; add at least one")
    return entries


def _flip(
    flip_idx: object, scheme: KeypointScheme, path: Path
) -> tuple[tuple[int, ...], list[str]]:
    """The flip that the file states, unless names, or what they are mapped to, tell otherwise."""
    names = scheme.keypoints
    told = scheme.flip_idx or flip_of(tuple(scheme.mapping.get(name, name) for name in names))
    if flip_idx is None:
        return (), []
    if is_flip(flip_idx, len(names)) and all(
        partner in (index, flip_idx[index]) for index, partner in enumerate(told)
    ):
        return tuple(flip_idx), []
    return (), [
        f"the flip_idx of {path.name} is wrong and is ignored: it is {shown(flip_idx)}, and the "
        f"names of the keypoints ask for {list(told)}. Training on the output flips by name"
    ]
