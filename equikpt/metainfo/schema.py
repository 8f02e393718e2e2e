"""Keypoints and links as rows of a table, checked, and turned into MMPose's metainfo dict.

MMPose's own parser accepts a one-sided swap without a word (the flipped labels are then wrong) and
answers a misspelt name with a bare ``KeyError``. Here every such mistake is a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PARTS = ("upper", "lower")
"""MMPose's half-body groups. For a quadruped: front half with the head, and hind half."""

SIDE_COLORS_RGB = {
    "left": (0, 255, 0),
    "right": (255, 128, 0),
    "middle": (51, 153, 255),
}
"""The colours that MMPose's animal datasets use, so that drawings look alike."""


@dataclass(frozen=True)
class Keypoint:
    """One row of a keypoint table; its place in the table is its index in the file format.

    Args:
        name: Unique name. A keypoint with a ``swap`` begins with ``l`` or ``r``, its side.
        part: Half-body group, ``"upper"`` or ``"lower"``.
        sigma: Spread of the annotators' clicks as a fraction of the object's size
            (the square root of its area), the k_i / 2 of COCO's object keypoint similarity.
        weight: Weight of this keypoint in the training loss.
        swap: Name of the same point on the other side, empty for a point of the midline.

    Raises:
        ValueError: If a field alone cannot be right.
    """

    name: str
    part: str
    sigma: float
    weight: float
    swap: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a keypoint has an empty name; give it one")
        if self.part not in PARTS:
            raise ValueError(
                f"keypoint '{self.name}' has part '{self.part}'; expected one of {', '.join(PARTS)}"
            )
        for quantity in ("sigma", "weight"):
            value = getattr(self, quantity)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(
                    f"keypoint '{self.name}' has {quantity} {value}; expected a number above 0"
                )
        if self.swap == self.name:
            raise ValueError(
                f"keypoint '{self.name}' swaps with itself; leave swap empty for a point that "
                "stays in place under a flip"
            )
        if self.swap and self.name[0].lower() not in "lr":
            raise ValueError(
                f"keypoint '{self.name}' swaps with '{self.swap}', but its name does not say its "
                "side; begin it with l or r"
            )

    @property
    def side(self) -> str:
        """``"left"``, ``"right"`` or ``"middle"``."""
        if not self.swap:
            return "middle"
        return "left" if self.name[0].lower() == "l" else "right"


@dataclass(frozen=True)
class Link:
    """A line of the skeleton between two keypoint names; it is drawn, not trained.

    Raises:
        ValueError: If both ends are the same keypoint.
    """

    start: str
    end: str

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError(
                f"a link joins '{self.start}' with itself; name two different keypoints"
            )


def build_metainfo(
    dataset_name: str,
    keypoints: Sequence[Keypoint],
    links: Sequence[Link] = (),
    paper_info: dict[str, str] | None = None,
) -> dict:
    """The dict that MMPose's ``parse_pose_metainfo`` takes, for K checked keypoints.

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
    if not dataset_name:
        raise ValueError("the dataset name is empty; logs and metrics need one")
    if not keypoints:
        raise ValueError(f"dataset '{dataset_name}' has no keypoints; give at least one row")
    by_name = _by_unique_name(keypoints)
    _check_swaps(by_name)
    _check_links(links, by_name)
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
                "color": list(SIDE_COLORS_RGB[_link_side(link, by_name)]),
            }
            for index, link in enumerate(links)
        },
        "joint_weights": [keypoint.weight for keypoint in keypoints],
        "sigmas": [keypoint.sigma for keypoint in keypoints],
    }
    if paper_info:
        metainfo["paper_info"] = dict(paper_info)
    return metainfo


def _by_unique_name(keypoints: Sequence[Keypoint]) -> dict[str, Keypoint]:
    first_rows: dict[str, int] = {}
    for row, keypoint in enumerate(keypoints):
        if keypoint.name in first_rows:
            raise ValueError(
                f"keypoint name '{keypoint.name}' stands in rows {first_rows[keypoint.name]} and "
                f"{row}; names must be unique"
            )
        first_rows[keypoint.name] = row
    return {keypoint.name: keypoint for keypoint in keypoints}


def _check_swaps(by_name: dict[str, Keypoint]) -> None:
    for keypoint in by_name.values():
        if not keypoint.swap:
            continue
        partner = by_name.get(keypoint.swap)
        if partner is None:
            raise ValueError(
                f"keypoint '{keypoint.name}' swaps with '{keypoint.swap}', which is not a "
                f"keypoint; the keypoints are {', '.join(by_name)}"
            )
        if partner.swap != keypoint.name:
            answer = f"'{partner.swap}'" if partner.swap else "nothing"
            raise ValueError(
                f"keypoint '{keypoint.name}' swaps with '{partner.name}', but '{partner.name}' "
                f"swaps with {answer}; name each in the other's row"
            )
        if partner.side == keypoint.side:
            raise ValueError(
                f"keypoints '{keypoint.name}' and '{partner.name}' swap, but both are named as "
                f"{keypoint.side}; one name must begin with l and the other with r"
            )


def _check_links(links: Sequence[Link], by_name: dict[str, Keypoint]) -> None:
    seen: dict[frozenset[str], Link] = {}
    for link in links:
        for end in (link.start, link.end):
            if end not in by_name:
                raise ValueError(
                    f"link '{link.start}'–'{link.end}' names '{end}', which is not a keypoint; "
                    f"the keypoints are {', '.join(by_name)}"
                )
        ends = frozenset((link.start, link.end))
        if ends in seen:
            first = seen[ends]
            raise ValueError(
                f"link '{link.start}'–'{link.end}' repeats '{first.start}'–'{first.end}'; "
                "list each link once"
            )
        seen[ends] = link


def _link_side(link: Link, by_name: dict[str, Keypoint]) -> str:
    """The side of its paired ends; a link across the midline is of neither side."""
    sides = {by_name[link.start].side, by_name[link.end].side} - {"middle"}
    return sides.pop() if len(sides) == 1 else "middle"
