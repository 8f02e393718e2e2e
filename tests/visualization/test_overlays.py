from __future__ import annotations

import numpy as np
import pytest

from equikpt.visualization.pose import ERROR_BGR, TARGET_BGR
from equikpt.visualization.predictions import (
    draw_bands,
    draw_errors,
    draw_heat,
    draw_label,
    draw_names,
)

IMAGE = np.full((200, 300, 3), 60, np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    """(H, W) bool."""
    return (drawn != IMAGE).any(axis=-1)


def inked(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) bool: where it is nearly of a colour; edges are smooth."""
    return np.abs(drawn.astype(int) - colour).max(axis=-1) < 40


@pytest.fixture(autouse=True)
def _images_stay_as_they_are():
    yield
    assert (IMAGE == 60).all()


def test_names_stand_beside_their_points_on_the_outer_side():
    drawn = draw_names(IMAGE, np.array([[100.0, 50], [200, 150], [np.nan, 0]]), ["a", "b", "c"])
    rows, columns = np.nonzero(changed(drawn))
    left, right = columns[rows < 100], columns[rows >= 100]
    assert (left.min(), left.max()) > (80, 80)
    assert left.max() < 100
    assert right.min() > 200
    assert (draw_names(IMAGE, np.full((1, 2), np.nan), ["a"]) == IMAGE).all()


def test_names_of_near_points_do_not_cover_each_other():
    """Three names at one place take three times the height of one."""
    places = np.array([[200.0, 100], [200, 101], [200, 102]])
    alone = np.ptp(np.nonzero(changed(draw_names(IMAGE, places[:1], ["withers"])))[0])
    together = np.ptp(np.nonzero(changed(draw_names(IMAGE, places, ["withers"] * 3)))[0])
    assert together > 2.5 * alone


def test_names_stay_inside():
    drawn = draw_names(IMAGE, np.array([[295.0, 100], [3, 100]]), ["a_long_name", "another_one"])
    assert changed(drawn)[:, :60].any()
    assert changed(drawn)[:, 240:].any()


def test_errors_are_lines_from_the_gt_with_their_length():
    gt = np.array([[50.0, 100], [250, 100], [150, 20]])
    predicted = np.array([[90.0, 100], [250, 101], [150, 180]])
    drawn = draw_errors(IMAGE, predicted, gt, np.array([True, True, False]))
    errors = inked(drawn, ERROR_BGR)
    assert errors[100, 60:68].all()
    assert errors[80:99, 60:100].any()  # its number
    assert not errors[80:99, 230:270].any()  # 1 px: none
    assert inked(drawn, TARGET_BGR)[95:106, 240:261].any()
    assert not changed(drawn)[:, 130:170].any()  # not labelled


def test_a_labelled_point_without_prediction_has_its_ring_alone():
    drawn = draw_errors(IMAGE, np.full((1, 2), np.nan), np.array([[50.0, 100]]), np.array([True]))
    assert inked(drawn, TARGET_BGR).any()
    assert not inked(drawn, ERROR_BGR).any()


def test_heat_lies_where_its_cells_do():
    heat = np.zeros((2, 4, 6), np.float32)
    heat[1, 2, 3] = 0.2  # weak, and still the strongest
    drawn = draw_heat(IMAGE, heat, np.array([[20.0, 0, 100], [0, 20, 40]]))
    rows, columns = np.nonzero(changed(drawn))
    assert abs(rows.mean() - 80) < 1
    assert abs(columns.mean() - 160) < 1
    assert np.ptp(columns) <= 40
    assert np.abs(drawn[80, 160].astype(int) - 60).max() > 80
    assert (draw_heat(IMAGE, 0 * heat, np.eye(2, 3)) == IMAGE).all()


def test_bands_show_each_keypoint_along_both_axes():
    """A green point at cell 60 of x and 20 of y, in cells of 2 px that begin at (40, 10)."""
    along_x, along_y = np.zeros((2, 100)), np.zeros((2, 80))
    along_x[1, 60], along_y[1, 20] = 0.5, 0.5
    to_image = np.array([[2.0, 0, 40], [0, 2, 10]])
    colours = np.array([[255, 0, 0], [0, 255, 0]])
    drawn = draw_bands(IMAGE, along_x, along_y, to_image, colours).astype(int)
    above_right = drawn[:40, 40:, 1] - drawn[:40, 40:, 2]
    assert abs(np.nonzero(above_right > 100)[1].mean() + 40 - 160) < 1
    assert np.nonzero(above_right > 100)[0].min() == 20  # the second of two stripes of 20 px
    below_left = drawn[40:, :40, 1] - drawn[40:, :40, 2]
    assert abs(np.nonzero(below_left > 100)[0].mean() + 40 - 50) < 1
    assert (drawn[40:, 40:] == 60).all()


def test_labels_differ_by_the_animal():
    box = np.array([20, 30, 120, 150])
    first, second = (draw_label(IMAGE, box, f"#{number}", number) for number in (1, 2))
    assert tuple(first[90, 20]) != tuple(second[90, 20])
    assert changed(first)[90, 20]
    assert changed(first)[33, 23]
    assert not changed(first)[90, 60]
