"""Roles of keypoints in a gait, and the names that data sets give them.

A role is the name of a horse26 keypoint. Roles that a table lacks leave out what needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from equikpt.core.typed_json import read_json
from equikpt.metainfo.correspondence import HORSE26, KEYPOINT_NAMES, mapping

LIMBS = ("lf", "rf", "lh", "rh")
"""Left and right, fore and hind."""
HEAD = ("l_eye", "r_eye", "l_ear", "r_ear")
"""Points around the poll, whose mean height is that of the head."""
POLL = ("l_ear", "r_ear")
TRUNK = ("withers", "back", "tail_base")
TOP_LINE = ("nose", "neck", "withers", "back", "tail_base")
"""From the front to the back."""

STAND_INS = {"horse10": {"tail_base": "Ischium"}}
"""Points that serve a gait and are not the same point: the point of the buttock moves with the
pelvis."""


def hoof(limb: str) -> str:
    """Role of a limb's hoof."""
    return f"{limb}_hoof"


def fetlock(limb: str) -> str:
    """Role of a limb's fetlock."""
    return f"{limb}_fetlock"


def match_names(
    names: Sequence[str], chosen: Mapping[str, str] | None = None, camera_side: str | None = None
) -> dict[str, str]:
    """Match roles with names of a table.

    Args:
        names: Of the table.
        chosen: The name of each role; None takes the data set of ``KEYPOINT_NAMES`` that has most
            of the names.
        camera_side: Side of the animal that is seen, ``left`` or ``right``, which points with one
            name for both sides belong to.

    Raises:
        ValueError: A role or name that is not there, or too few roles for a gait.
    """
    if chosen is None:
        sets = {key: len({*own} & {*names}) for key, own in KEYPOINT_NAMES.items()}
        dataset = max(sets, key=lambda key: sets[key])
        chosen = {role: role for role in HORSE26}
        if dataset != "horse26":
            pairs = mapping(dataset, "horse26", camera_side)
            chosen = {role: name for name, role in pairs.items()}
            chosen = {**STAND_INS.get(dataset, {}), **chosen}
        chosen = {role: name for role, name in chosen.items() if name in names}
    for role, name in chosen.items():
        if role not in HORSE26:
            raise ValueError(f"'{role}' is no role in a gait; expected one of {', '.join(HORSE26)}")
        if name not in names:
            raise ValueError(f"the table has no keypoint '{name}'; it has {', '.join(names)}")
    twice = [name for name, count in Counter(chosen.values()).items() if count > 1]
    if twice:
        raise ValueError(f"expected a keypoint of its own for each role, got '{twice[0]}' twice")
    hooves = [limb for limb in LIMBS if hoof(limb) in chosen]
    if not hooves or len({*TOP_LINE} & {*chosen}) < 2 or not {*TRUNK} & {*chosen}:
        raise ValueError(
            "expected keypoints of a hoof, of the trunk and of another point along the top line, "
            f'got {", ".join(names)}; name them in a file: {{"lf_hoof": "my hoof", …}}'
        )
    return dict(chosen)


def read_name_map(path: Path) -> dict[str, str]:
    """Read a file of names, ``{"withers": "Widerrist", "lf_hoof": "Huf VL", …}``.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is no JSON object of texts.
    """
    content = read_json(path, "the names of the keypoints by role")
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise ValueError(f'{path} holds other things than names; expected {{"withers": "…", …}}')
    return content
