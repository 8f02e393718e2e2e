"""The ``data.yaml`` of a YOLO-pose dataset, and what to write where there is none."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from reprlib import Repr

import yaml

from equikpt.data_tools.convert.input_files import read_text, read_yaml
from equikpt.data_tools.convert.names import split_named
from equikpt.data_tools.convert.records import SPLITS
from equikpt.data_tools.convert.schemes import KeypointScheme, is_flip, numbered_names
from equikpt.metainfo.sides import flip_by_name

FILE_NAME = "data.yaml"

MAX_GUESSED = 200
"""Label files that are read to guess what a missing ``data.yaml`` would say."""

_SHORT = Repr()
_SHORT.maxlist = _SHORT.maxother = 100
_SHORT.maxlevel = 2  # references may make a value of YAML endless


@dataclass(frozen=True)
class Description:
    """Content of ``data.yaml``.

    Args:
        path: The file.
        keypoints: Names, of the file or of the user.
        values_a_keypoint: 2, or 3 with visibility.
        classes: All classes in order.
        kept_classes: Those to convert.
        root: Folder that ``path:`` names, if any.
        entries: Folders, lists or images of each split.
        flip_idx: For each keypoint the index of its partner; empty where that is not stated.
        notes: One sentence each.
    """

    path: Path
    keypoints: tuple[str, ...]
    values_a_keypoint: int
    classes: tuple[str, ...]
    kept_classes: tuple[str, ...]
    root: str
    entries: dict[str, list[str]]
    flip_idx: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def describe(source: Path, scheme: KeypointScheme) -> Description:
    """Read the ``data.yaml`` of a folder, or the only other YAML file in it."""
    path = source if source.is_file() else _find(source)
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
            f"{path} has kpt_shape {_SHORT.repr(shape)}; expected [number of keypoints, 2 or 3], "
            "so this is no YOLO-pose dataset"
        )
    if scheme.numbered and not scheme.keypoints and "kpt_names" not in content:
        keypoints = numbered_names(shape[0])
    else:
        keypoints = scheme.keypoints or _keypoint_names(content, path)
    if shape[0] != len(keypoints):
        raise ValueError(
            f"{path} has {shape[0]} keypoints and the mapping names {len(keypoints)}; name each "
            "keypoint once, in the order of the label files"
        )
    classes = _classes(content.get("names"), scheme, path)
    # The flip that the file states counts, unless names, or their targets, tell otherwise.
    flip_idx, notes = content.get("flip_idx"), []
    named = scheme.flip_idx or flip_by_name([scheme.mapping.get(name, name) for name in keypoints])
    if flip_idx is not None and not (
        is_flip(flip_idx, len(keypoints))
        and all(partner in (index, flip_idx[index]) for index, partner in enumerate(named))
    ):
        notes.append(
            f"the flip_idx of {path.name} is wrong and is ignored: it is {_SHORT.repr(flip_idx)}, "
            f"and the names of the keypoints ask for {list(named)}. Training on the output flips "
            "by name"
        )
    return Description(
        path=path,
        keypoints=keypoints,
        values_a_keypoint=shape[1],
        classes=classes,
        kept_classes=scheme.classes or classes,
        root=str(content.get("path") or ""),
        entries=_entries(content, path),
        flip_idx=() if flip_idx is None or notes else tuple(flip_idx),
        notes=tuple(notes),
    )


def _find(folder: Path) -> Path:
    path = folder / FILE_NAME
    others = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if path.is_file() or len(others) == 1:
        return path if path.is_file() else others[0]
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
    width = max(Counter(len(row) - 5 for row in rows).most_common(1), default=(0, 0))[0]
    with_visibility = width % 3 == 0 and all(set(row[7::3]) <= {"0", "1", "2"} for row in rows)
    values = 2 if width and not with_visibility else 3
    classes = [f"class{n}" for n in range(max((int(row[0]) for row in rows), default=0) + 1)]
    content = {
        **{split: _split_folder(folder, split) for split in ("train", "val")},
        "kpt_shape": [width // values or "NUMBER", values],
        "names": classes,
        "kpt_names": {index: ["NAME", "..."] for index in range(len(classes))},
    }
    text = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=math.inf)
    return f"{text.strip()} (the names of the keypoints may be in a mapping instead)"


def _split_folder(folder: Path, split: str) -> str:
    """Roboflow has ``train/images``, Ultralytics ``images/train``."""
    below = [path.relative_to(folder) for path in folder.rglob("*") if path.is_dir()]
    named = [
        path
        for path in below
        if "labels" not in path.parts and split_named(path.as_posix()) == split
    ]
    best = min(named, key=lambda path: (path.name != "images", len(path.parts)), default=None)
    return best.as_posix() if best else "images"


def _keypoint_names(content: dict, path: Path) -> tuple[str, ...]:
    """Ultralytics' ``kpt_names``: a list of names, for each class or for all."""
    names = content.get("kpt_names")
    lists: list = list(names.values()) if isinstance(names, dict) else [names]
    if not lists or not all(
        isinstance(row, list) and row == lists[0] and all(map(_is_name, row)) for row in lists
    ):
        raise ValueError(
            f"{path} does not name its keypoints under 'kpt_names', the same for every class; list "
            "them under 'keypoints' in a mapping"
        )
    return tuple(map(str, lists[0]))


def _classes(names: object, scheme: KeypointScheme, path: Path) -> tuple[str, ...]:
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
    return tuple(names)


def _is_name(value: object) -> bool:
    """Tell a text, or what YAML took for a number or for ``on`` and ``off``."""
    return isinstance(value, str | int | float)


def _entries(content: dict, path: Path) -> dict[str, list[str]]:
    """Folders, lists or images that each split names."""
    entries: dict[str, list[str]] = {}
    for split in SPLITS:
        keys = (split, "valid", "validation") if split == "val" else (split,)
        given = next((content[key] for key in keys if content.get(key)), None)
        listed: list = given if isinstance(given, list) else [given]
        if given is not None and not all(isinstance(entry, str) for entry in listed):
            raise ValueError(
                f"{path} has '{split}: {_SHORT.repr(given)}'; expected a folder, a text file that "
                "lists images, or a list of them"
            )
        if given is not None:
            entries[split] = listed
    if not entries:
        raise ValueError(f"{path} names no train, val or test folder; add at least one")
    return entries
