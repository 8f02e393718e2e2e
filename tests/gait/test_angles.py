import numpy as np
import pytest

from equikpt.gait.angles import angle_deg, at_phases, differences, limb_angles
from equikpt.gait.measures import Measure
from equikpt.gait.trial import GaitOptions, Trial
from tests.gait.conftest import moving


def point(x, y):
    return np.array([x, y], float)


@pytest.mark.parametrize(
    ("lower", "front"),
    [((0, -1), 180), ((1, 0), 90), ((-1, 0), 270), ((1, -1), 135), ((-1, -1), 225)],
)
def test_angles_in_front_and_behind_make_a_circle(lower, front):
    points = point(0, 1), point(0, 0), point(*lower)
    assert angle_deg(*points) == pytest.approx(front)
    assert angle_deg(*points, behind=True) == pytest.approx(360 - front)


def test_angles_do_not_depend_on_where_the_limb_is():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(3, 2))
    turn = np.array([[np.cos(0.7), np.sin(0.7)], [-np.sin(0.7), np.cos(0.7)]])
    moved = points @ turn * 3 + [5, -2]
    assert angle_deg(*moved) == pytest.approx(angle_deg(*points))
    assert angle_deg(*points * [-1, 1]) == pytest.approx(360 - angle_deg(*points))


def test_both_directions_give_the_same_angles():
    tables = [moving(gait="walk", strides=3, facing=facing).side_mm for facing in ("left", "right")]
    assert tables[0].xy[0, 0, 0] != tables[1].xy[0, 0, 0]
    found = [limb_angles(Trial(table, GaitOptions(replicates=20)), "lf") for table in tables]
    assert {*found[0]} == {"elbow", "carpus", "fetlock", "limb"}
    for name, angles in found[0].items():
        np.testing.assert_allclose(angles[0], found[1][name][0], atol=1e-6)


def test_a_swinging_carpus_is_flexed_and_a_standing_one_straight(trot):
    trial = Trial(trot.side_mm, GaitOptions(replicates=20))
    carpus = limb_angles(trial, "lf")["carpus"][0]
    middle = trot.on_s["lf"][2] + 0.5 * (trot.off_s["lf"][2] - trot.on_s["lf"][2])
    assert np.interp(middle, trot.times_s, carpus) == pytest.approx(180, abs=2)
    assert carpus.min() < 120


def test_curves_run_from_hoof_on_to_hoof_on():
    times = np.linspace(0, 2, 241)
    curve = at_phases(times, (10 * times)[None], 0.5, 1.5)[0]
    np.testing.assert_allclose(curve, np.linspace(5, 15, 101))


def test_differences_are_left_minus_right_of_one_stride():
    def measure(stride, part, name, value):
        return Measure(stride, part, name, "s", np.array([value, value]))

    rows = [
        measure(0, "lf", "stance", 0.3),
        measure(0, "rf", "stance", 0.1),
        measure(1, "lh", "stance", 0.3),
        measure(0, "lf", "phase", 0.3),
        measure(0, "rf", "phase", 0.3),
    ]
    (only,) = differences(rows)
    assert only[:4] == (0, "fore l-r", "stance", "s")
    np.testing.assert_allclose(only.values, 0.2)
