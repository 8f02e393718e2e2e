"""From single points and rectangles, as labelling tools draw them, to animals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.data_tools.convert.boxes import BoxPx
from equikpt.data_tools.convert.records import Instance


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


def animals(
    points: Sequence[LoosePoint], boxes: Sequence[LooseBox], names: Sequence[str]
) -> tuple[list[Instance], list[str]]:
    """Join points and rectangles of one image to animals.

    Points of one group are one animal, with the rectangle of that group. A point without a group
    belongs to the rectangle that it lies in, of several to the smallest. What is left is one
    animal without a rectangle.

    Args:
        points: With names that are in ``names``.
        boxes: Rectangles.
        names: The S keypoints of the source.

    Returns:
        The animals, rectangles first, and remarks: a point that one animal has several times is
        not labelled, and a point in several rectangles may be in the wrong one.
    """
    found: list[Animal] = [(box, []) for box in boxes]
    boxed = tuple(found)
    loose: list[LoosePoint] = []
    by_group: dict[str, Animal] = {}
    for box, own in boxed:
        if box and box.group:
            by_group.setdefault(box.group, (box, own))
    remarks = []
    for point in points:
        if point.group:
            if point.group not in by_group:
                by_group[point.group] = (None, [])
                found.append(by_group[point.group])
            by_group[point.group][1].append(point)
            continue
        around = [animal for animal in boxed if animal[0] and animal[0].holds(point)]
        if len(around) > 1:
            remarks.append(f"{point.name} in {len(around)} rectangles, taken to the smallest")
        min(around, key=_area, default=(None, loose))[1].append(point)
    if loose:
        found.append((None, loose))
    return [_instance(*animal, names, remarks) for animal in found], remarks


def _area(animal: Animal) -> float:
    return animal[0].box_px[2] * animal[0].box_px[3] if animal[0] else 0.0


def _instance(
    box: LooseBox | None, points: list[LoosePoint], names: Sequence[str], remarks: list[str]
) -> Instance:
    keypoints, scores = np.zeros((len(names), 3)), np.zeros(len(names))
    for index, name in enumerate(names):
        found = [point for point in points if point.name == name]
        if len(found) > 1:
            remarks.append(f"{len(found)} × {name}, not labelled")
        elif found:
            keypoints[index] = (found[0].x, found[0].y, found[0].visibility)
            scores[index] = found[0].score or 0.0
    scored = any(point.score is not None for point in points)
    box_px, category = (box.box_px, box.category) if box else (None, "")
    return Instance(box_px, keypoints, category, scores if scored else None)
