import json

import numpy as np
import pytest

from equikpt.data_tools.verify.statistics import check_visibility, statistics
from tests.data_tools.verify.conftest import people, person, points_of, set_points


def test_figures_are_those_of_a_set_that_can_be_counted_by_hand(read):
    content = people(4)
    points = content["annotations"][0]["keypoints"]
    points[0:6] = [0, 0, 0, 0, 0, 0]  # two points less
    points[8] = 1  # and one hidden
    second = person(5, 2, np.random.default_rng(3))
    second["bbox"] = content["annotations"][1]["bbox"]
    content["annotations"].append(second)
    beside = person(6, 3, np.random.default_rng(4))
    beside["bbox"] = [0, 0, 20, 20]
    content["annotations"].append(beside)
    content["images"].append(dict(id=9, file_name="9.png", width=300, height=260))
    (figures,) = statistics(read(content)).values()
    assert figures["images"] == 5
    assert figures["annotations"] == figures["used annotations"] == 6
    assert figures["images without a used annotation"] == 1
    assert figures["annotations an image"]["p100"] == 2
    assert figures["points an annotation"] == dict(p0=15, p5=15.5, p50=17, p95=17, p100=17)
    assert figures["crowded"] == 0.333  # two of six share a box
    assert figures["labelled"]["nose"] == 0.833
    assert figures["hidden of labelled"]["right_eye"] == 0.167
    assert json.loads(json.dumps(figures)) == figures


def test_each_file_has_its_own(read):
    labels = read(people(3), people(7, seed=1))
    assert [figures["images"] for figures in statistics(labels).values()] == [3, 7]


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


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        (lambda number: mixed(number, 0), []),
        (lambda number: 0, ["never_labelled"]),
        (lambda number: 2 * (number == 0), ["seldom_labelled"]),
        (lambda number: 1 + number % 2, ["always_labelled"]),
    ],
    ids=["as the others", "never", "seldom", "always"],
)
def test_a_keypoint_of_its_own_kind_is_named(read, rule, codes):
    content = with_visibility(100, lambda n, point: rule(n) if point == 4 else mixed(n, point))
    issues = list(check_visibility(read(content)))
    assert [issue.code for issue in issues] == codes
    assert all(issue.subject.keypoints == (4,) for issue in issues)


@pytest.mark.parametrize(
    ("level", "count", "codes"),
    [(1, 60, ["one_visibility"]), (2, 60, ["one_visibility"]), (2, 10, [])],
    ids=["hidden", "seen", "few say nothing"],
)
def test_one_visibility_for_all_is_found(read, level, count, codes):
    issues = check_visibility(read(with_visibility(count, lambda *_: level)))
    assert [issue.code for issue in issues] == codes
