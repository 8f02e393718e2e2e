from types import SimpleNamespace

import numpy as np
import pytest

from equikpt.data_tools.verify.limbs import check_limbs, labelled_links, length_ratios
from tests.data_tools.verify.conftest import NAMES, codes_of, people, points_of, set_points


@pytest.mark.parametrize(
    ("labelled", "expected"),
    [
        pytest.param([1, 1, 1, 1], [(0, 1), (1, 2), (2, 3)], id="all"),
        pytest.param([1, 0, 1, 1], [(0, 2), (2, 3)], id="one between"),
        pytest.param([1, 0, 0, 1], [(0, 3)], id="two between"),
        pytest.param([1, 1, 1, 0], [(0, 1), (1, 2)], id="an end"),
    ],
)
def test_links_lead_past_points_that_nobody_labels(labelled, expected):
    scheme = SimpleNamespace(links=np.array([(0, 1), (1, 2), (2, 3)]))
    found = labelled_links(SimpleNamespace(scheme=scheme, labelled=np.array([labelled], bool)))
    assert sorted(map(tuple, found.tolist())) == expected


def test_ratios_know_neither_position_nor_size():
    rng = np.random.default_rng(0)
    links = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    shape = rng.uniform(0, 10, (6, 2))
    xy = shape * rng.uniform(1, 9, (40, 1, 1)) + rng.uniform(0, 99, (40, 1, 2))
    ratio, _ = length_ratios(xy, np.ones((40, 6), bool), links)
    np.testing.assert_allclose(ratio, 0, atol=1e-9)


@pytest.mark.parametrize("point", ["left_ankle", "right_wrist", "left_elbow"])
def test_a_point_thrown_away_is_blamed(read, point):
    content = people(40)
    points = points_of(content["annotations"][9])
    points[NAMES.index(point), :2] = (295, 255) if "left" in point else (2, 2)
    set_points(content["annotations"][9], points)
    issues = [issue for issue in check_limbs(read(content)) if issue.code == "limb_length"]
    assert codes_of(issues) == [("limb_length", 10)]
    assert NAMES.index(point) in issues[0].subject.keypoints


def test_ends_of_legs_exchanged_cross(read):
    content = people(40)
    points = points_of(content["annotations"][9])
    points[[15, 16]] = points[[16, 15]]
    set_points(content["annotations"][9], points)
    issues = list(check_limbs(read(content)))
    assert codes_of(issues) == [("crossed_limbs", 10)]
    assert issues[0].subject.keypoints == (15, 16)
