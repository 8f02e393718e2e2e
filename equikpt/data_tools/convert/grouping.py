"""From single points and rectangles, as labelling tools draw them, to animals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from equikpt.data_tools.convert.records import BoxPx, Instance


@dataclass(frozen=True)
class LoosePoint:
    """A point of its own, x and y in px.

    Args:
        name: Of its keypoint.
        x: px.
        y: px.
        visibility: 1 hidden, 2 seen.
        group: What ties it to others, empty if nothing.
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


@dataclass
class _Animal:
    box: LooseBox | None
    points: list[LoosePoint] = field(default_factory=list)


def animals(
    points: Sequence[LoosePoint], boxes: Sequence[LooseBox], names: Sequence[str]
) -> tuple[list[Instance], list[str]]:
    """Points and rectangles of one image as animals.

    Points of one group are one animal, with the rectangle of that group. A point without a group
    belongs to the rectangle that it lies in, of several to the smallest. What is left is one
    animal without a rectangle.

    Args:
        points: With names that are in ``names``.
        boxes: Rectangles.
        names: The S keypoints of the source.

    Returns:
        The animals, rectangles first, and what could not be told: a point that one animal has
        several times is not labelled, and a point in several rectangles may be in the wrong one.
    """
    by_group: dict[str, _Animal] = {}
    boxed: list[_Animal] = []
    for box in boxes:
        animal = _Animal(box)
        boxed.append(animal)
        if box.group:
            by_group.setdefault(box.group, animal)
    loose, grouped, remarks = _Animal(None), [], []
    for point in points:
        if point.group:
            if point.group not in by_group:
                by_group[point.group] = _Animal(None)
                grouped.append(by_group[point.group])
            by_group[point.group].points.append(point)
            continue
        holding = [animal for animal in boxed if animal.box and animal.box.holds(point)]
        if len(holding) > 1:
            remarks.append(f"{point.name} in {len(holding)} rectangles, taken to the smallest")
        min(holding, key=_area, default=loose).points.append(point)
    instances = []
    for animal in (*boxed, *grouped, *([loose] if loose.points else [])):
        instance, doubled = _instance(animal, names)
        instances.append(instance)
        remarks += doubled
    return instances, remarks


def _area(animal: _Animal) -> float:
    return animal.box.box_px[2] * animal.box.box_px[3] if animal.box else 0.0


def _instance(animal: _Animal, names: Sequence[str]) -> tuple[Instance, list[str]]:
    keypoints, scores = np.zeros((len(names), 3)), np.zeros(len(names))
    doubled = []
    for index, name in enumerate(names):
        found = [point for point in animal.points if point.name == name]
        if len(found) > 1:
            doubled.append(f"{len(found)} × {name}, not labelled")
        elif found:
            keypoints[index] = (found[0].x, found[0].y, found[0].visibility)
            scores[index] = found[0].score or 0.0
    box = animal.box
    scored = any(point.score is not None for point in animal.points)
    instance = Instance(
        box.box_px if box else None,
        keypoints,
        box.category if box else "",
        scores=scores if scored else None,
    )
    return instance, doubled
