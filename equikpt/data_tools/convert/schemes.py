"""The keypoints of a source by name, and where each goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import msgspec

from equikpt.core.typed_json import refuse_wrong_types
from equikpt.data_tools.convert.input_files import read_yaml
from equikpt.metainfo import correspondence, horse26
from equikpt.metainfo.schema import Keypoint
from equikpt.metainfo.sides import flip_by_name, side_of

_HORSES16 = (
    "croup l_stifle l_hock lh_hoof r_hock rh_hoof withers l_elbow l_knee lf_hoof r_knee rf_hoof "
    "poll nose r_stifle r_elbow"
)
_HORSES16_MAPPED = (
    "nose withers l_elbow r_elbow l_knee r_knee lf_hoof rf_hoof l_hock r_hock lh_hoof rh_hoof"
)
_HORSES16_MAPPING = {name: name for name in _HORSES16_MAPPED.split()}


@dataclass(frozen=True)
class KeypointScheme:
    """Names of the S source keypoints in file order, and the target of those that have one.

    Args:
        keypoints: S unique names; empty where the source names its points itself.
        mapping: Source name to target name. Points left out are dropped; target points that nothing
            maps to get visibility 0.
        flip_idx: For each source keypoint the index of its partner under a flip, where the names
            do not say it.
        classes: Names of the object classes to convert; empty where there is only one.
        numbered: Call the keypoints of a source that does not name them ``point_0``, ``point_1``, …
    """

    keypoints: tuple[str, ...]
    mapping: dict[str, str]
    flip_idx: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    numbered: bool = False

    def right_flip_idx(self) -> tuple[int, ...]:
        """The flip that the scheme or, without one, the names imply."""
        return self.flip_idx or flip_by_name(self.keypoints)


NO_SCHEME = KeypointScheme((), {})
"""Where no mapping is given: the names of the source decide."""


def is_flip(flip_idx: object, num_keypoints: int) -> TypeGuard[list[int]]:
    """Tell if a list exchanges keypoints in pairs: twice gives the first order back."""
    return (
        isinstance(flip_idx, list)
        and all(type(index) is int for index in flip_idx)
        and sorted(flip_idx) == list(range(num_keypoints))
        and all(flip_idx[partner] == index for index, partner in enumerate(flip_idx))
    )


def refuse_no_flip(flip_idx: Sequence[int], num_keypoints: int) -> None:
    """Raise ValueError at a ``flip_idx``, where there is one, that is none."""
    if flip_idx and not is_flip(list(flip_idx), num_keypoints):
        raise ValueError(
            f"flip_idx {list(flip_idx)} does not exchange {num_keypoints} keypoints in pairs; "
            "flipping twice must give the first order back"
        )


def swapping_flip(
    keypoints: Sequence[str], mapping: dict[str, str], targets: Sequence[Keypoint]
) -> tuple[int, ...]:
    """The flip of a source: that of the targets its points go to."""
    source_of = {target: source for source, target in mapping.items()}
    swap_of = {keypoint.name: keypoint.swap for keypoint in targets}
    partner = {
        source: source_of.get(swap_of.get(target, ""), source) for source, target in mapping.items()
    }
    return tuple(keypoints.index(partner.get(name, name)) for name in keypoints)


def corresponding(dataset: str, keypoints: tuple[str, ...]) -> KeypointScheme:
    """The scheme of a public dataset for horse26.

    Args:
        dataset: One of :data:`equikpt.metainfo.correspondence.KEYPOINT_NAMES`.
        keypoints: The names of its files, in the order of that table.
    """
    own_name = dict(zip(correspondence.KEYPOINT_NAMES[dataset], keypoints, strict=True))
    mapping = {
        own_name[source]: target for source, target in correspondence.mapping(dataset).items()
    }
    return KeypointScheme(keypoints, mapping, swapping_flip(keypoints, mapping, horse26.KEYPOINTS))


_BUILT_IN: dict[str, KeypointScheme] = {
    # A public set of horse images on Roboflow Universe (saumort/horses-upigv). Its poll lies
    # between the ears and its croup before the tail: horse26 has no points there. Its stifles are
    # at the height of Horse-10's, but clicked further back, often hidden and then guessed; they
    # are left out by default.
    "horses16": KeypointScheme(tuple(_HORSES16.split()), _HORSES16_MAPPING),
    "horses16_stifle": KeypointScheme(
        tuple(_HORSES16.split()), _HORSES16_MAPPING | {"l_stifle": "l_hip", "r_stifle": "r_hip"}
    ),
    "ap10k": corresponding("ap10k", correspondence.AP10K_FILE_NAMES),
    "animalpose": corresponding("animalpose", correspondence.ANIMALPOSE),
    "horse10": corresponding("horse10", correspondence.HORSE10),
}


def numbered_names(num_keypoints: int) -> tuple[str, ...]:
    """Names of keypoints that have none, by their index in the file."""
    return tuple(f"point_{index}" for index in range(num_keypoints))


def chosen_keypoints(scheme: KeypointScheme, there: Sequence[str], source: Path) -> tuple[str, ...]:
    """The keypoints to read of a source that names its own: those of the scheme, or all.

    Raises:
        ValueError: If the scheme lists one that the source does not have.
    """
    names = tuple(dict.fromkeys(there))
    strange = [name for name in scheme.keypoints if name not in names]
    if strange:
        raise ValueError(
            f"the mapping lists '{strange[0]}' under keypoints, and {source} has "
            f"{', '.join(names)}; list those to read, or leave keypoints out"
        )
    return scheme.keypoints or names


class SchemeFile(msgspec.Struct):
    """A mapping as YAML."""

    mapping: dict[str, str]
    keypoints: list[str] | None = None
    flip_idx: list[int] | None = None
    classes: list[str] | None = None


def find_scheme(name_or_path: str) -> KeypointScheme:
    """Find a scheme that comes with the package, or read that of a YAML file.

    The file has ``mapping`` (source: target), ``keypoints`` (names in order) where the source does
    not name them, and may have ``flip_idx`` and ``classes``.

    Raises:
        FileNotFoundError: If it is neither a known name nor a file.
        ValueError: If the file is no such YAML.
    """
    if name_or_path in _BUILT_IN:
        return _BUILT_IN[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no keypoint mapping '{name_or_path}'; give a YAML file with keypoints and mapping, "
            f"or one of {', '.join(_BUILT_IN)}"
        )
    content = read_yaml(path)
    keys = set(content) if isinstance(content, dict) else set()
    if not {"mapping"} <= keys <= set(SchemeFile.__struct_fields__):
        raise ValueError(
            f"mapping {path} has keys {sorted(map(str, keys))}; expected mapping, and at most "
            "keypoints, flip_idx and classes besides"
        )
    quotes = "names in quotes that YAML takes for something else, like off, no or 1"
    refuse_wrong_types(content, SchemeFile, f"mapping {path}", quotes)
    file = msgspec.convert(content, SchemeFile)
    keypoints, flip_idx = tuple(file.keypoints or ()), tuple(file.flip_idx or ())
    return KeypointScheme(keypoints, file.mapping, flip_idx, tuple(file.classes or ()))


def check_scheme(scheme: KeypointScheme, targets: Sequence[Keypoint]) -> None:
    """Refuse a scheme that would mix points or sides up.

    Raises:
        ValueError: If names repeat or are unknown, two points go to one, sides are exchanged, or
            ``flip_idx`` is no flip.
    """
    by_name = {keypoint.name: keypoint for keypoint in targets}
    for what, names in (("keypoint", scheme.keypoints), ("target", scheme.mapping.values())):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"{what} '{twice[0]}' occurs twice in the mapping; list it once")
    if not scheme.mapping:
        raise ValueError("the mapping is empty; map at least one source keypoint")
    for source, target in scheme.mapping.items():
        mapped = f"'{source}' is mapped to '{target}'"
        if source not in scheme.keypoints:
            raise ValueError(
                f"{mapped} but is not a keypoint of the source; those are "
                f"{', '.join(scheme.keypoints)}"
            )
        if target not in by_name:
            raise ValueError(
                f"{mapped}, which is not a target keypoint; those are {', '.join(by_name)}"
            )
        if {side_of(source), by_name[target].side} == {"left", "right"}:
            raise ValueError(f"{mapped}, the other side; map left to left")
    _check_flip(scheme, by_name)


def _check_flip(scheme: KeypointScheme, by_name: dict[str, Keypoint]) -> None:
    """The flip goes with the target's swaps, as far as ``flip_idx`` or the names tell one.

    Points whose names tell no side (``A6``, ``A6_1``) flip as their targets do.
    """
    refuse_no_flip(scheme.flip_idx, len(scheme.keypoints))
    names = scheme.keypoints
    has_source = set(scheme.mapping.values())
    for index, partner in enumerate(scheme.right_flip_idx()):
        here, there = (scheme.mapping.get(names[column]) for column in (index, partner))
        swap = by_name[here].swap if here else None
        if here and partner == index and swap and not scheme.flip_idx:
            if not side_of(names[index]) and swap not in has_source:
                raise ValueError(
                    f"'{names[index]}' is mapped to '{here}' and nothing to '{swap}', and its name "
                    "tells no side; map the other side too, or state flip_idx"
                )
        elif (
            here and there not in (None, swap or here) and (partner != index or swap in has_source)
        ):
            raise ValueError(
                f"'{names[index]}' flips to '{names[partner]}', but their targets '{here}' and "
                f"'{there}' are no pair; correct mapping or flip_idx"
            )
