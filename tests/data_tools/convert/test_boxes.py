import numpy as np
import pytest

from equikpt.data_tools.convert.boxes import MARGIN, box_around, misses_points


def test_a_box_around_points_has_a_margin_and_stays_in_the_image():
    points = np.array([[20.0, 10], [60, 30]])
    assert box_around(points, 100, 100) == pytest.approx((16, 6, 48, 28))
    assert MARGIN == 0.1
    assert box_around(points, 62, 31) == pytest.approx((16, 6, 46, 25))
    assert box_around(points[:1], 100, 100) == pytest.approx((19, 9, 2, 2))
    assert box_around(points[:0], 100, 100) is None


def test_a_box_misses_points_whose_middle_lies_outside():
    box = (30.0, 20.0, 60.0, 90.0)
    around = np.random.default_rng(0).uniform((30, 20), (90, 110), (6, 2))
    assert not misses_points(box, around)
    assert misses_points(box, around + (0, 90))
    assert not misses_points(box, around[:0])
