import numpy as np
import pytest

from equikpt.evaluation.functional.ruler_errors import (
    failures,
    mark_distance,
    order_swaps,
    radial_errors,
    scale_errors,
)

GT = np.array([[[100.0, 200.0], [100.0, 160.0]]])  # 40 px apart


def moved(*shifts: tuple[float, float]) -> np.ndarray:
    return GT + np.array([shifts], float)


@pytest.mark.parametrize(
    ("first", "second", "errors"),
    [
        pytest.param((3, 4), (0, 0), (5, 0), id="one mark 3-4-5"),
        pytest.param((3, 4), (-4, 3), (5, 5), id="both marks 3-4-5"),
        pytest.param((6, -8), (5, 12), (10, 13), id="6-8-10 and 5-12-13"),
    ],
)
def test_each_mark_has_its_own_distance(first, second, errors):
    predicted = moved(first, second)
    np.testing.assert_allclose(radial_errors(predicted, GT), [errors], rtol=0, atol=1e-12)
    # the old mistake, one norm over all four coordinates, is another number
    one_norm = np.linalg.norm((predicted - GT).reshape(1, 4), axis=1)[0]
    assert one_norm == pytest.approx(np.hypot(*errors))
    assert abs(one_norm - np.mean(errors)) > 1


def test_scale_error_is_that_of_a_length():
    longer = moved((0, 2), (0, -2))  # 44 instead of 40 px
    assert mark_distance(longer)[0] == pytest.approx(44)
    assert scale_errors(longer, GT)[0] == pytest.approx(0.1)
    # a shift of the whole ruler leaves the scale as it is
    assert scale_errors(moved((7, -3), (7, -3)), GT)[0] == pytest.approx(0)


def test_marks_in_one_place_have_no_scale():
    with pytest.raises(ValueError, match="radiograph number 1 has both marks at one point"):
        scale_errors(np.repeat(GT, 2, 0), np.stack([GT[0], GT[0, [0, 0]]]))


def test_swaps_are_told_from_turns():
    swapped = GT[:, ::-1]
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (GT - GT.mean(1)) @ turn + GT.mean(1)
    marks = np.concatenate([GT, swapped, turned])
    assert order_swaps(marks, np.repeat(GT, 3, 0)).tolist() == [False, True, False]


def test_failures_are_measured_in_distances_of_the_marks():
    close, far = moved((0, 3.9), (0, 0)), moved((0, 0), (4.1, 0))
    assert failures(np.concatenate([close, far]), np.repeat(GT, 2, 0)).tolist() == [False, True]
