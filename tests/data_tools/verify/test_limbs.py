from __future__ import annotations

import numpy as np
import pytest

from equikpt.data_tools.verify.limbs import check_limbs, labelled_links, length_ratios
from tests.data_tools.verify.conftest import NAMES, people, points_of, set_points, told


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
    chain = np.array([(0, 1), (1, 2), (2, 3)])
    found = labelled_links(chain, np.array(labelled, bool))
    assert sorted(map(tuple, found.tolist())) == expected


def test_ratios_know_neither_place_nor_size():
    rng = np.random.default_rng(0)
    links = np.array([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    shape = rng.uniform(0, 10, (6, 2))
    xy = shape * rng.uniform(1, 9, (40, 1, 1)) + rng.uniform(0, 99, (40, 1, 2))
    ratio, _ = length_ratios(xy, np.ones((40, 6), bool), links)
    np.testing.assert_allclose(ratio, 0, atol=1e-9)


def test_sound_labels_have_no_fault(read):
    assert list(check_limbs(read(people(40)))) == []


@pytest.mark.parametrize("point", ["left_ankle", "right_wrist", "left_elbow"])
def test_a_point_thrown_away_is_blamed(read, point):
    content = people(40)
    points = points_of(content["annotations"][9])
    points[NAMES.index(point), :2] = (295, 255) if "left" in point else (2, 2)
    set_points(content["annotations"][9], points)
    faults = [fault for fault in check_limbs(read(content)) if fault.check == "limb_length"]
    assert told(faults) == [("limb_length", 10)]
    assert NAMES.index(point) in faults[0].points


def test_ends_of_legs_exchanged_cross(read):
    content = people(40)
    points = points_of(content["annotations"][9])
    points[[15, 16]] = points[[16, 15]]
    set_points(content["annotations"][9], points)
    faults = list(check_limbs(read(content)))
    assert told(faults) == [("crossed_limbs", 10)]
    assert faults[0].points == (15, 16)
    assert "left_knee–left_ankle" in faults[0].sentence or "left_ankle" in faults[0].sentence
