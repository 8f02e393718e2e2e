"""Where the keypoints of a source go: by the user's mapping, or by the names themselves."""

from __future__ import annotations

import re
from dataclasses import replace

from equikpt.data_tools.convert.records import is_text
from equikpt.data_tools.convert.schemes import (
    KeypointScheme,
    check_scheme,
    corresponding,
    find_scheme,
    flip_by_name,
    refuse_no_flip,
    swapping_flip,
)
from equikpt.data_tools.convert.targets import Target
from equikpt.metainfo import correspondence

KNOWN_SOURCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ap10k", correspondence.AP10K),
    ("ap10k", correspondence.AP10K_FILE_NAMES),
    ("animalpose", correspondence.ANIMALPOSE),
    ("horse10", correspondence.HORSE10),
)
"""Datasets of :mod:`equikpt.metainfo.correspondence` and names by which their files are known."""


def settle_scheme(
    given: KeypointScheme, keypoints: tuple[str, ...], target: Target
) -> KeypointScheme:
    """The scheme to convert with, complete and checked.

    Args:
        given: The user's, or :data:`~equikpt.data_tools.convert.schemes.NO_SCHEME`.
        keypoints: Names that the source has, empty where it has none.
        target: What is converted to.

    Raises:
        ValueError: If names do not fit, or no mapping is given and none is known.
    """
    names = keypoints or given.keypoints
    if not names:
        raise ValueError(
            "the source does not name its keypoints; list them in order under 'keypoints' in a "
            "--mapping"
        )
    _refuse_unwritable((*names, *given.mapping.values()))
    if target.keeps_source:
        return _renaming(given, names)
    scheme = _over(given, names) if given.mapping else _by_names(names, target)
    check_scheme(scheme, target.keypoints)
    return scheme


def _refuse_unwritable(names: tuple[str, ...]) -> None:
    """Stop at names that break lines, or that XML cannot hold."""
    wrong = [name for name in names if not name.strip() or not is_text(name)]
    if wrong:
        raise ValueError(
            f"a keypoint is named {wrong[0]!r}; expected a text without line breaks: correct "
            "the name in the source"
        )


def _renaming(given: KeypointScheme, names: tuple[str, ...]) -> KeypointScheme:
    """The source's own names, or those that the user gives them instead."""
    if not given.mapping:
        given = replace(given, mapping={name: name for name in names})
    scheme = _over(given, names)
    refuse_no_flip(scheme.flip_idx, len(names))
    unknown = [name for name in scheme.mapping if name not in names]
    if unknown:
        raise ValueError(
            f"'{unknown[0]}' is mapped but is not a keypoint of the source; those are "
            f"{', '.join(names)}"
        )
    if len(set(scheme.mapping.values())) < len(scheme.mapping):
        raise ValueError("the mapping gives two keypoints one name; each needs its own")
    return scheme


def _over(given: KeypointScheme, names: tuple[str, ...]) -> KeypointScheme:
    """The user's scheme over the names that the source has, in the source's order."""
    if not given.keypoints or given.keypoints == names:
        return replace(given, keypoints=names)
    if set(given.keypoints) != set(names):
        differing = sorted(set(given.keypoints) ^ set(names))
        raise ValueError(
            f"the mapping names other keypoints than the source: {', '.join(differing)} are not in "
            f"both; the source has {', '.join(names)}"
        )
    refuse_no_flip(given.flip_idx, len(given.keypoints))
    if not given.flip_idx:
        return replace(given, keypoints=names)
    place = {name: index for index, name in enumerate(given.keypoints)}
    flip = tuple(names.index(given.keypoints[given.flip_idx[place[name]]]) for name in names)
    return replace(given, keypoints=names, flip_idx=flip)


def _by_names(names: tuple[str, ...], target: Target) -> KeypointScheme:
    for dataset, known in KNOWN_SOURCES:
        if set(names) == set(known) and target.name == "horse26":
            return _over(corresponding(dataset, known), names)
    by_key = {_key(name): name for name in target.names}
    mapping = {name: by_key[_key(name)] for name in names if _key(name) in by_key}
    strange = [name for name in names if name not in mapping]
    if strange:
        raise ValueError(
            f"no keypoint of {target.name} is named {', '.join(strange)}; say in a --mapping which "
            "of the source's points goes where (source: target), as --help shows"
        )
    return KeypointScheme(names, mapping, swapping_flip(names, mapping, target.keypoints))


def _key(name: str) -> str:
    """Reduce ``Left Knee``, ``left-knee`` and ``left_knee`` to the same text."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def flip_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """For each keypoint the index of its partner under a flip, as far as names tell.

    Horse-10's near and off are left and right by its table; other names say their side themselves.
    """
    if set(names) == set(correspondence.HORSE10):
        return _over(find_scheme("horse10"), names).flip_idx
    return flip_by_name(names)


def mapping_lines(scheme: KeypointScheme, target: Target) -> list[str]:
    """List where each keypoint of the source goes, which lack a source and which are not used."""
    source_of = {name: source for source, name in scheme.mapping.items()}
    lacking = [name for name in target.names if name not in source_of]
    dropped = [name for name in scheme.keypoints if name not in scheme.mapping]
    lines = [f"{len(source_of)} of {len(target.names)} keypoints of {target.name} have a source:"]
    lines += [f"  {source_of[name]} -> {name}" for name in target.names if name in source_of]
    if lacking:
        lines.append(f"without a source, visibility 0: {', '.join(lacking)}")
    if dropped:
        lines.append(f"of the source, not used: {', '.join(map(_with_remark, dropped))}")
    return lines


def _with_remark(keypoint: str) -> str:
    """A keypoint with what the table of correspondences says about it."""
    for (_, name), remark in correspondence.NOTES.items():
        if name == keypoint:
            return f"{keypoint} ({remark})"
    return keypoint
