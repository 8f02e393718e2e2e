"""Datasets that labels can be converted to, and where the keypoints of a source go in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from equikpt.data_tools.convert import TARGETS
from equikpt.data_tools.convert.names import is_text
from equikpt.data_tools.convert.schemes import (
    KeypointScheme,
    check_scheme,
    corresponding,
    refuse_no_flip,
    swapping_flip,
)
from equikpt.metainfo import coco17, correspondence, horse26, p1p2
from equikpt.metainfo.schema import Keypoint, Link

KNOWN_SOURCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ap10k", correspondence.AP10K),
    ("ap10k", correspondence.AP10K_FILE_NAMES),
    ("animalpose", correspondence.ANIMALPOSE),
    ("horse10", correspondence.HORSE10),
)
"""Datasets of :mod:`equikpt.metainfo.correspondence` and names by which their files are known."""


@dataclass(frozen=True)
class Target:
    """Keypoints, links, the name of the one category, and the dataset that must accept the files.

    Args:
        name: On the command line.
        keypoints: K rows; none where it takes the source's.
        links: Lines of the skeleton.
        category: Name of the one category; empty where the source's stay.
        supercategory: As COCO has it.
        dataset: Class of :mod:`equikpt.datasets` that trains on the output, imported only when that
            is checked; empty for none.
        whole_image: Whether the box is the image and there is one instance in it.
        source_names: The K names where they are the source's.
    """

    name: str
    keypoints: tuple[Keypoint, ...] = ()
    links: tuple[Link, ...] = ()
    category: str = ""
    supercategory: str = "animal"
    dataset: str = ""
    whole_image: bool = False
    source_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The K names in the order of the file format."""
        return self.source_names or tuple(keypoint.name for keypoint in self.keypoints)


_ROWS = (
    Target("horse26", horse26.KEYPOINTS, horse26.LINKS, "horse", "animal", "Horse26Dataset"),
    Target("p1p2", p1p2.KEYPOINTS, p1p2.LINKS, "ruler", "object", "P1P2Dataset", whole_image=True),
    Target("coco17", coco17.KEYPOINTS, coco17.LINKS, "person", "person", "Coco17Dataset"),
    Target("coco"),
)


def find_target(name: str) -> Target:
    """Find the target of that name, or raise ValueError."""
    for target in _ROWS:
        if target.name == name:
            return target
    raise ValueError(f"cannot convert to '{name}'; expected one of {', '.join(TARGETS)}")


def complete(
    given: KeypointScheme, keypoints: tuple[str, ...], target: Target
) -> tuple[KeypointScheme, Target]:
    """Complete and check the scheme to convert with, and the names of the target.

    Args:
        given: The user's, or :data:`~equikpt.data_tools.convert.schemes.NO_SCHEME`.
        keypoints: Names that the source has, empty where it has none.
        target: To convert to.

    Raises:
        ValueError: If names do not fit, or no mapping is given and none is known.
    """
    names = keypoints or given.keypoints
    if not names:
        raise ValueError(
            "the source does not name its keypoints; list them in order under 'keypoints' in a "
            "mapping"
        )
    for name in (*names, *given.mapping.values()):
        if not name.strip() or not is_text(name):  # breaks lines, or XML cannot hold it
            raise ValueError(
                f"a keypoint is named {name!r}; expected a text without line breaks: correct "
                "the name in the source"
            )
    if target.keypoints:
        scheme = _over(given, names) if given.mapping else _by_names(names, target)
        check_scheme(scheme, target.keypoints)
    else:
        scheme = _renaming(given, names)
        target = replace(target, source_names=tuple(scheme.mapping.values()))
    return scheme, target


def _renaming(given: KeypointScheme, names: tuple[str, ...]) -> KeypointScheme:
    """The source's own names, or those that the user gives them instead."""
    mapping = given.mapping or {name: name for name in names}
    scheme = _over(replace(given, mapping=mapping), names)
    refuse_no_flip(scheme.flip_idx, len(names))
    unknown = [name for name in mapping if name not in names]
    if unknown:
        raise ValueError(
            f"'{unknown[0]}' is mapped but is not a keypoint of the source; those are "
            f"{', '.join(names)}"
        )
    if len(set(mapping.values())) < len(mapping):
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
    partner = {given.keypoints[i]: given.keypoints[j] for i, j in enumerate(given.flip_idx)}
    flip = tuple(names.index(partner[name]) for name in names if partner)
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
            f"no keypoint of {target.name} is named {', '.join(strange)}; say in a mapping which "
            "of the source's points goes where (source: target)"
        )
    return KeypointScheme(names, mapping, swapping_flip(names, mapping, target.keypoints))


def _key(name: str) -> str:
    """Reduce ``Left Knee``, ``left-knee`` and ``left_knee`` to the same text."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def mapping_lines(scheme: KeypointScheme, target: Target) -> list[str]:
    """List where each keypoint of the source goes, which lack a source and which are not used."""
    source_of = {name: source for source, name in scheme.mapping.items()}
    remark_of = {
        name: f" ({remark})" for (_, name), remark in reversed(correspondence.NOTES.items())
    }
    lacking = [name for name in target.names if name not in source_of]
    dropped = [
        f"{name}{remark_of.get(name, '')}"
        for name in scheme.keypoints
        if name not in scheme.mapping
    ]
    lines = [f"{len(source_of)} of {len(target.names)} keypoints of {target.name} have a source:"]
    lines += [f"  {source_of[name]} -> {name}" for name in target.names if name in source_of]
    if lacking:
        lines.append(f"without a source, visibility 0: {', '.join(lacking)}")
    if dropped:
        lines.append(f"of the source, not used: {', '.join(dropped)}")
    return lines
