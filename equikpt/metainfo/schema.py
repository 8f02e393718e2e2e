"""Keypoints and links as rows of a table, checked, and turned into MMPose's metainfo dict.

MMPose's own parser accepts a one-sided swap without a word (the flipped labels are then wrong) and
answers a misspelt name with a bare ``KeyError``. Here every such mistake is a sentence.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from equikpt.metainfo.sides import pairs_by_name

PARTS = ("upper", "lower", "")
"""MMPose's half-body groups. For a quadruped: front half with the head, and hind half. Empty for
points of sets that have no halves, such as a single point."""

SIDE_COLORS_RGB = {"left": (0, 255, 0), "right": (255, 128, 0), "middle": (51, 153, 255)}
"""Colours of MMPose's animal datasets, so that drawings look alike."""


@dataclass(frozen=True)
class Keypoint:
    """One row of a keypoint table; its number in the table is its index in the file format.

    Args:
        name: Unique name.
        part: Half-body group, ``"upper"`` or ``"lower"``; empty for neither.
        sigma: Spread of the annotators' clicks as a fraction of the object's size
            (the square root of its area), the k_i / 2 of COCO's object keypoint similarity.
        weight: Weight of this keypoint in the training loss.
        swap: Name of the same point on the other side, empty for a point of the midline.
        side: ``"left"``, ``"right"`` or ``"middle"``, by which it is coloured. By default as
            ``name`` and ``swap`` say it in one of the languages of :mod:`equikpt.metainfo.sides`;
            points that swap and whose names do not say it need it.

    Raises:
        ValueError: A field alone cannot be right.
    """

    name: str
    part: str
    sigma: float
    weight: float
    swap: str = ""
    side: str = ""

    def __post_init__(self) -> None:
        label = f"keypoint '{self.name}'"
        _require(self.name, "a keypoint has an empty name; give it one")
        _require(
            self.part in PARTS,
            f"{label} has part '{self.part}'; expected {' or '.join(PARTS[:2])}, or none",
        )
        for field, value in (("sigma", self.sigma), ("weight", self.weight)):
            is_positive = math.isfinite(value) and value > 0
            _require(is_positive, f"{label} has {field} {value}; expected a number above 0")
        _require(
            self.swap != self.name,
            f"{label} swaps with itself; leave swap empty for a point that stays under a flip",
        )
        side = self.side or (side_beside(self.name, self.swap) if self.swap else "middle")
        _require(
            side in SIDE_COLORS_RGB and not (self.swap and side == "middle"),
            f"{label} has side '{side}'; expected left, right or middle"
            if side and not self.swap
            else f"{label} swaps with '{self.swap}', but its name does not say its side; give side "
            "left or right",
        )
        object.__setattr__(self, "side", side)


def side_beside(name: str, swap: str) -> str:
    """``"left"``, ``"right"`` or ``""`` as a keypoint's name says beside its partner's.

    >>> side_beside("ear.R", "ear.L"), side_beside("oreille_g", "oreille_d")
    ('right', 'left')
    """
    pair = next((pair for pair in pairs_by_name((name, swap)) if not pair.guessed), None)
    if pair is not None:
        return "right" if pair.left else "left"
    return {"lr": "left", "rl": "right"}.get(name[:1].lower() + swap[:1].lower(), "")


@dataclass(frozen=True)
class Link:
    """A line of the skeleton between two keypoint names; it is drawn, not trained.

    Raises:
        ValueError: Both ends are the same keypoint.
    """

    start: str
    end: str

    def __post_init__(self) -> None:
        message = f"a link joins '{self.start}' with itself; name two different keypoints"
        _require(self.start != self.end, message)


def links_along(*chains: str) -> tuple[Link, ...]:
    """Make the links of chains of keypoints.

    >>> links_along("nose neck back", "nose l_eye")[1:]
    (Link(start='neck', end='back'), Link(start='nose', end='l_eye'))
    """
    return tuple(Link(*ends) for chain in chains for ends in itertools.pairwise(chain.split()))


def build_metainfo(
    dataset_name: str,
    keypoints: Sequence[Keypoint],
    links: Sequence[Link] = (),
    paper_info: dict[str, str] | None = None,
) -> dict:
    """Build the dict that MMPose's ``parse_pose_metainfo`` takes, from K checked keypoints.

    Args:
        dataset_name: Name under which logs and metrics speak of the dataset.
        keypoints: K rows; their order is the order of the annotation files.
        links: Lines of the skeleton.
        paper_info: Author, title, year and the like, where there is a publication.

    Raises:
        ValueError: If a name occurs twice, a swap is one-sided or stays on its side, or a link
            names an unknown keypoint or occurs twice. Both names are in the message.

    >>> sides = [Keypoint(f"{side}_ear", "upper", 0.05, 1.0, swap=f"{other}_ear")
    ...         for side, other in ("lr", "rl")]
    >>> metainfo = build_metainfo("ears", sides, [Link("l_ear", "r_ear")])
    >>> metainfo["keypoint_info"][0]["swap"], metainfo["sigmas"]
    ('r_ear', [0.05, 0.05])
    >>> build_metainfo("ear", sides[:1])
    Traceback (most recent call last):
    ValueError: keypoint 'l_ear' swaps with 'r_ear', which is not a keypoint; ...
    """
    _require(dataset_name, "the dataset name is empty; logs and metrics need one")
    _require(keypoints, f"dataset '{dataset_name}' has no keypoints; give at least one row")
    names = [keypoint.name for keypoint in keypoints]
    for row, name in enumerate(names):
        _require(
            names.index(name) == row,
            f"keypoint name '{name}' stands in rows {names.index(name)} and {row}; names must be "
            "unique",
        )
    by_name = dict(zip(names, keypoints, strict=True))
    for keypoint in keypoints:
        if keypoint.swap:
            _check_swap(keypoint, by_name)
    _check_links(links, names)
    metainfo: dict = {
        "dataset_name": dataset_name,
        "keypoint_info": {
            index: {
                "id": index,
                "name": keypoint.name,
                "color": list(SIDE_COLORS_RGB[keypoint.side]),
                "type": keypoint.part,
                "swap": keypoint.swap,
            }
            for index, keypoint in enumerate(keypoints)
        },
        "skeleton_info": {
            index: {
                "id": index,
                "link": (link.start, link.end),
                "color": list(_link_color(by_name[link.start].side, by_name[link.end].side)),
            }
            for index, link in enumerate(links)
        },
        "joint_weights": [keypoint.weight for keypoint in keypoints],
        "sigmas": [keypoint.sigma for keypoint in keypoints],
    }
    if paper_info:
        metainfo["paper_info"] = dict(paper_info)
    return metainfo


def _check_swap(one: Keypoint, by_name: Mapping[str, Keypoint]) -> None:
    label = f"keypoint '{one.name}' swaps with '{one.swap}'"
    _require(
        one.swap in by_name,
        f"{label}, which is not a keypoint; the keypoints are {', '.join(by_name)}",
    )
    other = by_name[one.swap]
    answer = f"'{other.swap}'" if other.swap else "nothing"
    _require(
        other.swap == one.name,
        f"{label}, but '{other.name}' swaps with {answer}; name each in the other's row",
    )
    _require(
        other.side != one.side,
        f"keypoints '{one.name}' and '{other.name}' swap, but both are of the {one.side} side; one "
        "must be left and the other right",
    )


def _check_links(links: Iterable[Link], names: Sequence[str]) -> None:
    seen: dict[frozenset[str], str] = {}
    for link in links:
        label, ends = f"link '{link.start}'–'{link.end}'", frozenset((link.start, link.end))
        for end in ends:
            _require(
                end in names,
                f"{label} names '{end}', which is not a keypoint; the keypoints are "
                f"{', '.join(names)}",
            )
        _require(ends not in seen, f"{label} repeats {seen.get(ends)}; list each link once")
        seen[ends] = label.removeprefix("link ")


def _link_color(*sides: str) -> tuple[int, int, int]:
    """Colour of the side of its paired ends; a link across the midline is of neither side."""
    paired = {*sides} - {"middle"}
    return SIDE_COLORS_RGB[paired.pop() if len(paired) == 1 else "middle"]


def _require(is_valid: object, message: str) -> None:
    if not is_valid:
        raise ValueError(message)
