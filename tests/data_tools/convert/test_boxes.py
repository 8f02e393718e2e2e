from __future__ import annotations

import numpy as np
import pytest

from equikpt.core.coco.box_checks import FORMS, STATED
from equikpt.data_tools.convert.boxes import MARGIN, box_around, misses_points, read_boxes

RIGHT = np.array([30.0, 20, 60, 90])


def points_in(box, rng, count=6):
    return rng.uniform(box[:2], box[:2] + box[2:], (count, 2))


WIDTH, HEIGHT = 120, 140


def misread(form: str, box: np.ndarray) -> np.ndarray:
    """The numbers that mean ``box`` in another form."""
    x, y, width, height = box
    written = {
        STATED: (x, y, width, height),
        "[left, top, right, bottom]": (x, y, x + width, y + height),
        "[x, y, width, height] with y the bottom": (x, y + height, width, height),
        "[x, y, width, height] with x, y the centre": (
            x + width / 2,
            y + height / 2,
            width,
            height,
        ),
        "[y, x, height, width]": (y, x, height, width),
        "[x, y, height, width]": (x, y, height, width),
    }
    for name, start in (
        ("fractions of the image", STATED),
        ("[left, top, right, bottom] in fractions of the image", "[left, top, right, bottom]"),
        (
            "centre and size in fractions of the image",
            "[x, y, width, height] with x, y the centre",
        ),
    ):
        written[name] = tuple(np.divide(written[start], (WIDTH, HEIGHT) * 2))
    return np.array(written[form])


@pytest.mark.parametrize("reading", FORMS)
def test_the_reading_that_fits_the_points_is_taken_and_told(reading):
    rng = np.random.default_rng(0)
    boxes = [RIGHT + rng.uniform(0, 5, 4) for _ in range(20)]
    points = [points_in(box, rng, 40) for box in boxes]
    where = [f"annotation {index}" for index in range(20)]
    found, notes = read_boxes(
        [misread(reading, box) for box in boxes], points, [(WIDTH, HEIGHT)] * 20, where
    )
    np.testing.assert_allclose(found, boxes)
    assert len(notes) == (reading != STATED)
    assert not notes or (reading in notes[0] and "put right" in notes[0])


def test_few_strange_boxes_are_told_and_left():
    rng = np.random.default_rng(0)
    boxes = [RIGHT.copy() for _ in range(10)]
    points = [points_in(RIGHT, rng) for _ in boxes]
    boxes[3] = misread("[x, y, width, height] with y the bottom", RIGHT)
    found, notes = read_boxes(
        boxes, points, [(120, 200)] * 10, [f"annotation {index}" for index in range(10)]
    )
    np.testing.assert_allclose(found, boxes)
    assert notes == ["boxes that leave a labelled point outside, or the image (annotation 3)"]
    away = [misses_points(box, xy) for box, xy in zip(found, points, strict=True)]
    assert np.flatnonzero(away).tolist() == [3]


def test_boxes_that_no_reading_explains_stay():
    far = [np.array([[500.0, 500], [510, 510]])] * 4
    found, notes = read_boxes([RIGHT] * 4, far, [(0, 0)] * 4, list("abcd"))
    np.testing.assert_allclose(found, [RIGHT] * 4)
    assert "or the image (a, b, c, d)" in notes[0]


def test_absent_and_flat_boxes_are_left_to_the_points():
    flat = np.array([3.0, 4, 0, 5])
    found, notes = read_boxes([None, flat], [np.zeros((0, 2))] * 2, [(9, 9)] * 2, ["a", "b"])
    assert found == [None, None]
    assert notes == ["boxes without area, taken anew around the points (b)"]


def test_a_box_around_points_has_a_margin_and_stays_in_the_image():
    points = np.array([[20.0, 10], [60, 30]])
    assert box_around(points, 100, 100) == pytest.approx((16, 6, 48, 28))
    assert MARGIN == 0.1
    assert box_around(points, 62, 31) == pytest.approx((16, 6, 46, 25))
    assert box_around(points[:1], 100, 100) == pytest.approx((19, 9, 2, 2))
    assert box_around(points[:0], 100, 100) is None
