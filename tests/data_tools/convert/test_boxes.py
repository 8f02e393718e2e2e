from __future__ import annotations

import numpy as np
import pytest

from equikpt.data_tools.convert.boxes import MARGIN, READINGS, box_around, read_boxes

RIGHT = np.array([30.0, 20, 60, 90])


def points_in(box, rng, count=6):
    return rng.uniform(box[:2], box[:2] + box[2:], (count, 2))


def misread(reading: str, box: np.ndarray) -> np.ndarray:
    """The numbers that mean ``box`` in another reading."""
    x, y, width, height = box
    return np.array(
        {
            "x, y, width, height": (x, y, width, height),
            "y is the bottom edge": (x, y + height, width, height),
            "two corners": (x, y, x + width, y + height),
            "width and height swapped": (x, y, height, width),
        }[reading]
    )


@pytest.mark.parametrize("reading", READINGS)
def test_the_reading_that_fits_the_points_is_taken_and_told(reading):
    rng = np.random.default_rng(0)
    boxes = [RIGHT + rng.uniform(0, 5, 4) for _ in range(20)]
    points = [points_in(box, rng, 40) for box in boxes]
    where = [f"annotation {index}" for index in range(20)]
    found, notes = read_boxes(
        [misread(reading, box) for box in boxes], points, [(120, 140)] * 20, where
    )
    np.testing.assert_allclose(found, boxes)
    assert len(notes) == (reading != "x, y, width, height")
    assert not notes or (reading in notes[0] and "put right" in notes[0])


def test_few_strange_boxes_are_told_and_left():
    rng = np.random.default_rng(0)
    boxes = [RIGHT.copy() for _ in range(10)]
    points = [points_in(RIGHT, rng) for _ in boxes]
    boxes[3] = misread("y is the bottom edge", RIGHT)
    found, notes = read_boxes(
        boxes, points, [(120, 200)] * 10, [f"annotation {index}" for index in range(10)]
    )
    np.testing.assert_allclose(found, boxes)
    assert notes == [
        "boxes that leave a labelled point outside, or the picture, kept as they are (annotation 3)"
    ]


def test_boxes_that_no_reading_explains_stay():
    far = [np.array([[500.0, 500], [510, 510]])] * 4
    found, notes = read_boxes([RIGHT] * 4, far, [(0, 0)] * 4, list("abcd"))
    np.testing.assert_allclose(found, [RIGHT] * 4)
    assert "kept as they are (a, b, c, d)" in notes[0]


def test_absent_and_flat_boxes_are_left_to_the_points():
    flat = np.array([3.0, 4, 0, 5])
    found, notes = read_boxes([None, flat], [np.zeros((0, 2))] * 2, [(9, 9)] * 2, ["a", "b"])
    assert found == [None, None]
    assert notes == ["boxes without area, taken anew around the points (b)"]


def test_a_box_around_points_has_a_margin_and_stays_in_the_picture():
    points = np.array([[20.0, 10], [60, 30]])
    assert box_around(points, 100, 100) == pytest.approx((16, 6, 48, 28))
    assert MARGIN == 0.1
    assert box_around(points, 62, 31) == pytest.approx((16, 6, 46, 25))
    assert box_around(points[:1], 100, 100) == pytest.approx((19, 9, 2, 2))
    assert box_around(points[:0], 100, 100) is None
