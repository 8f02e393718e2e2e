"""From single points and rectangles, as labelling tools draw them, to animals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.data_tools.convert.boxes import BoxPx
from equikpt.data_tools.convert.records import Instance, noted

SEVERAL = (
    "points that their instance has several times are not labelled; a box around each instance, or "
    "a group, tells them apart"
)
NESTED = "points in several boxes are taken to the smallest"


@dataclass(frozen=True)
class LoosePoint:
    """A point of its own, x and y in px.

    Args:
        name: Of its keypoint.
        x: px.
        y: px.
        visibility: 1 hidden, 2 seen.
        group: The same for points and rectangles of one animal, empty if not stated.
        score: Of a predicted point, None for a label.
    """

    name: str
    x: float
    y: float
    visibility: int = 2
    group: str = ""
    score: float | None = None


@dataclass(frozen=True)
class LooseBox:
    """A rectangle of its own, in px."""

    box_px: BoxPx
    category: str = ""
    group: str = ""

    def holds(self, point: LoosePoint) -> bool:
        """Tell if the point lies in it."""
        x, y, width, height = self.box_px
        return x <= point.x <= x + width and y <= point.y <= y + height


def unread(what: str, kinds: Sequence[str]) -> list[str]:
    """A note on shapes of other kinds, if there are any."""
    counts = ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items())
    return [f"{what} are not read ({counts})"] if kinds else []


Animal = tuple[LooseBox | None, list[LoosePoint]]
Remark = tuple[str, str]
"""Kind, :data:`SEVERAL` or :data:`NESTED`, and place of a remark."""


def remarks_noted(remarks: Iterable[tuple[str, Sequence[Remark]]]) -> list[str]:
    """One note a kind of remark, with examples, from the names and remarks of images."""
    examples = defaultdict(list)
    for name, own in remarks:
        for kind, where in own:
            examples[kind].append(f"{where} on {name}")
    return [note for kind, found in examples.items() for note in noted(kind, found)]


def animals(
    points: Sequence[LoosePoint], boxes: Sequence[LooseBox], names: Sequence[str]
) -> tuple[list[Instance], list[Remark]]:
    """Join points and rectangles of one image to animals.

    Points of one group are one animal, with the rectangle of that group. A point without a group
    belongs to the rectangle that it lies in, of several to the smallest. What is left is one
    animal without a rectangle; of one keypoint in all, each is one.

    Args:
        points: With names that are in ``names``.
        boxes: Rectangles.
        names: The S keypoints of the source.

    Returns:
        The animals, rectangles first, and remarks on points that are not labelled, or may be in
        the wrong rectangle.
    """
    found: list[Animal] = [(box, []) for box in boxes]
    boxed = tuple(found)
    loose: list[LoosePoint] = []
    by_group: dict[str, Animal] = {}
    for box, own in boxed:
        if box and box.group:
            by_group.setdefault(box.group, (box, own))
    remarks: list[Remark] = []
    for point in points:
        if point.group:
            if point.group not in by_group:
                by_group[point.group] = (None, [])
                found.append(by_group[point.group])
            by_group[point.group][1].append(point)
            continue
        around = [animal for animal in boxed if animal[0] and animal[0].holds(point)]
        if len(around) > 1:
            remarks.append((NESTED, f"{point.name} in {len(around)}"))
        min(around, key=_area, default=(None, loose))[1].append(point)
    if len(names) == 1:
        found += [(None, [point]) for point in loose]
    elif loose:
        found.append((None, loose))
    return [_instance(*animal, names, remarks) for animal in found], remarks


def _area(animal: Animal) -> float:
    return animal[0].box_px[2] * animal[0].box_px[3] if animal[0] else 0.0


def _instance(
    box: LooseBox | None, points: list[LoosePoint], names: Sequence[str], remarks: list[Remark]
) -> Instance:
    keypoints, scores = np.zeros((len(names), 3)), np.zeros(len(names))
    for index, name in enumerate(names):
        found = [point for point in points if point.name == name]
        if len(found) > 1:
            remarks.append((SEVERAL, f"{len(found)} × {name}"))
        elif found:
            keypoints[index] = (found[0].x, found[0].y, found[0].visibility)
            scores[index] = found[0].score or 0.0
    scored = any(point.score is not None for point in points)
    box_px, category = (box.box_px, box.category) if box else (None, "")
    return Instance(box_px, keypoints, category, scores if scored else None)
