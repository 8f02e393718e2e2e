from __future__ import annotations

import numpy as np
import pytest

from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint, animals

NAMES = ("nose", "tail")
LEFT, RIGHT = LooseBox((0, 0, 40, 40), "horse"), LooseBox((50, 0, 40, 40), "foal")
BIG = LooseBox((0, 0, 100, 100), "herd")


def labelled(instance) -> dict:
    return {
        name: tuple(point[:2])
        for name, point in zip(NAMES, instance.keypoints, strict=True)
        if point[2]
    }


def test_points_go_to_the_rectangle_they_lie_in():
    points = [LoosePoint("nose", 60, 5), LoosePoint("nose", 5, 5), LoosePoint("tail", 30, 6, 1)]
    (first, second), remarks = animals(points, [LEFT, RIGHT], NAMES)
    assert labelled(first) == {"nose": (5, 5), "tail": (30, 6)}
    assert labelled(second) == {"nose": (60, 5)}
    assert (first.category, second.category) == ("horse", "foal")
    assert first.keypoints[1, 2] == 1
    assert remarks == []


def test_a_group_goes_before_the_place():
    points = [LoosePoint("nose", 60, 5, group="a"), LoosePoint("tail", 5, 5, group="b")]
    boxes = [LooseBox(LEFT.box_px, "horse", group="a"), RIGHT]
    (first, second, third), remarks = animals(points, boxes, NAMES)
    assert labelled(first) == {"nose": (60, 5)}
    assert labelled(second) == {}
    assert labelled(third) == {"tail": (5, 5)}
    assert third.box_px is None
    assert remarks == []


def test_without_rectangles_and_groups_there_is_one_animal():
    points = [LoosePoint("nose", 1, 2), LoosePoint("tail", 3, 4)]
    (only,), remarks = animals(points, [], NAMES)
    assert labelled(only) == {"nose": (1, 2), "tail": (3, 4)}
    assert only.box_px is None
    assert remarks == []
    assert animals([], [], NAMES) == ([], [])


def test_what_is_there_twice_is_not_labelled_and_told():
    points = [LoosePoint("nose", 1, 2), LoosePoint("nose", 3, 4), LoosePoint("tail", 5, 6)]
    (only,), remarks = animals(points, [], NAMES)
    assert labelled(only) == {"tail": (5, 6)}
    assert remarks == ["2 × nose, not labelled"]


@pytest.mark.parametrize("boxes", [[BIG, LEFT], [LEFT, BIG]], ids=["big first", "small first"])
def test_of_several_rectangles_the_smallest_is_taken_and_told(boxes):
    found, remarks = animals([LoosePoint("nose", 5, 5)], boxes, NAMES)
    owner = next(instance for instance in found if labelled(instance))
    assert owner.category == "horse"
    assert remarks == ["nose in 2 rectangles, taken to the smallest"]


def test_scores_are_those_of_the_points():
    points = [LoosePoint("tail", 3, 4, score=0.75)]
    (only,), _ = animals(points, [], NAMES)
    np.testing.assert_array_equal(only.scores, [0, 0.75])
    (labels,), _ = animals([LoosePoint("tail", 3, 4)], [], NAMES)
    assert labels.scores is None
