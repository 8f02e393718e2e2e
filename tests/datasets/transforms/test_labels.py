from __future__ import annotations

import numpy as np
import pytest

from equikpt.datasets.transforms.labels import drop_points, hide_points, inside, labelled, seen


def sample() -> dict:
    return dict(
        keypoints_visible=np.array([[0, 1, 1, 1]], np.float32),
        keypoints_visibility=np.array([[0, 1, 2, 2]], np.uint8),
    )


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, True),
        (-0.5, -0.5, True),
        (-0.51, 5, False),
        (9.49, 5, True),
        (9.5, 5, False),
        (5, 19.49, True),
        (5, 19.5, False),
        (5, -0.51, False),
    ],
)
def test_a_image_ends_half_a_pixel_beyond_its_outer_pixel_centres(x, y, expected):
    assert inside(np.array([x, y]), width=10, height=20) == expected


def test_hiding_changes_seen_points_only():
    results = sample()
    hide_points(results, np.array([[True, True, True, False]]))
    assert results["keypoints_visibility"].tolist() == [[0, 1, 1, 2]]
    assert results["keypoints_visible"].tolist() == [[0, 1, 1, 1]]


def test_dropping_takes_points_out_of_both():
    results = sample()
    drop_points(results, np.array([[True, True, True, False]]))
    assert results["keypoints_visibility"].tolist() == [[0, 0, 0, 2]]
    assert results["keypoints_visible"].tolist() == [[0, 0, 0, 1]]


def test_without_visibility_labelled_points_count_as_seen():
    results = sample()
    assert seen(results).tolist() == [[False, False, True, True]]
    del results["keypoints_visibility"]
    assert seen(results).tolist() == labelled(results).tolist() == [[False, True, True, True]]


def test_weights_beside_the_visibility_are_not_taken_for_points():
    results = dict(keypoints_visible=np.ones((1, 4, 2), np.float32))
    results["keypoints_visible"][0, :2, 0] = 0
    assert labelled(results).tolist() == [[False, False, True, True]]
