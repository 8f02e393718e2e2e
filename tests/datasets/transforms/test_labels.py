import numpy as np
import pytest

from equikpt.datasets.transforms.labels import drop_points, hide_points, inside, labelled, seen


def sample() -> dict:
    return dict(
        keypoints_visible=np.array([[0, 1, 1, 1]], np.float32),
        keypoints_visibility=np.array([[0, 1, 2, 2]], np.uint8),
    )


def test_an_image_ends_half_a_pixel_beyond_its_outer_pixel_centres():
    within = [(0, 0), (-0.5, -0.5), (9.49, 5), (5, 19.49)]
    outside = [(-0.51, 5), (9.5, 5), (5, 19.5), (5, -0.51)]
    assert inside(np.array(within), width=10, height=20).all()
    assert not inside(np.array(outside), width=10, height=20).any()


@pytest.mark.parametrize(
    ("change", "visibility", "visible"),
    [(hide_points, [0, 1, 1, 2], [0, 1, 1, 1]), (drop_points, [0, 0, 0, 2], [0, 0, 0, 1])],
    ids=["hiding changes visible points alone", "dropping takes points out of both"],
)
def test_hiding_and_dropping(change, visibility, visible):
    results = sample()
    change(results, np.array([[True, True, True, False]]))
    assert results["keypoints_visibility"].tolist() == [visibility]
    assert results["keypoints_visible"].tolist() == [visible]


def test_without_visibility_weights_are_not_taken_for_points():
    results = sample()
    assert seen(results).tolist() == [[False, False, True, True]]
    del results["keypoints_visibility"]
    assert seen(results).tolist() == labelled(results).tolist() == [[False, True, True, True]]
    results = dict(keypoints_visible=np.ones((1, 4, 2), np.float32))
    results["keypoints_visible"][0, :2, 0] = 0
    assert labelled(results).tolist() == [[False, False, True, True]]
