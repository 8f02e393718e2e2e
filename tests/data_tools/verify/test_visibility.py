from __future__ import annotations

import pytest

from equikpt.data_tools.verify.visibility import check_visibility
from tests.data_tools.verify.conftest import people, points_of, set_points


def with_visibility(count: int, level) -> dict:
    """People whose visibility of a point is ``level(annotation, point)``."""
    content = people(count)
    for number, annotation in enumerate(content["annotations"]):
        points = points_of(annotation)
        points[:, 2] = [level(number, point) for point in range(17)]
        set_points(annotation, points)
        annotation["num_keypoints"] = int((points[:, 2] > 0).sum())
    return content


def mixed(number: int, point: int) -> int:
    """Now and then hidden or not labelled."""
    return (number + 3 * point) % 5 % 3


CASES = [
    # the rule for one point, and what is said of it
    pytest.param(lambda number: mixed(number, 0), [], id="as the others"),
    pytest.param(lambda number: 0, ["never_labelled"], id="never"),
    pytest.param(lambda number: 2 * (number == 0), ["seldom_labelled"], id="seldom"),
    pytest.param(lambda number: 1 + number % 2, ["always_labelled"], id="always"),
]


@pytest.mark.parametrize(("rule", "checks"), CASES)
def test_a_keypoint_of_its_own_kind_is_named(read, rule, checks):
    content = with_visibility(100, lambda n, point: rule(n) if point == 4 else mixed(n, point))
    faults = list(check_visibility(read(content)))
    assert [fault.check for fault in faults] == checks
    assert all(fault.points == (4,) and "right_ear" in fault.sentence for fault in faults)


@pytest.mark.parametrize(("level", "word"), [(1, "hidden"), (2, "seen")])
def test_one_visibility_for_all_is_told(read, level, word):
    faults = list(check_visibility(read(with_visibility(60, lambda *_: level))))
    assert [fault.check for fault in faults] == ["one_visibility"]
    assert word in faults[0].sentence


def test_few_annotations_say_nothing_about_shares(read):
    assert list(check_visibility(read(with_visibility(10, lambda *_: 2)))) == []
