import numpy as np
import pytest
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

from equikpt.datasets.transforms.random_elastic import RandomElastic, moved_points
from tests.datasets.transforms.blobs import BlobSample, blob_centroids


def crop() -> dict:
    return TopdownAffine(input_size=(256, 192))(GetBBoxCenterScale()(BlobSample(1).results()))


@pytest.mark.parametrize("seed", range(5))
def test_points_stay_on_what_they_mark(seed):
    before = crop()
    np.random.seed(seed)  # noqa: NPY002 - the state that the transforms draw from
    after = RandomElastic(prob=1.0, amplitude_range=(6, 6))(crop())
    moved = np.linalg.norm(
        after["transformed_keypoints"] - before["transformed_keypoints"], axis=-1
    )
    assert moved.max() > 0.5
    # a blob is stretched unevenly, so its centroid is not exactly where its centre went
    np.testing.assert_allclose(
        after["transformed_keypoints"][0], blob_centroids(after["img"]), atol=0.5
    )
    wrong = np.abs(before["transformed_keypoints"][0] - blob_centroids(after["img"])).max()
    assert wrong > 0.5  # the control: points that stay behind are farther off


def test_a_point_lands_where_the_image_shows_it():
    """Of a shift that grows linearly, q + 0.2 q + 3 = p, the answer is known."""
    columns = np.arange(200, dtype=np.float32)
    shift = np.zeros((100, 200, 2), np.float32)
    shift[..., 0] = 0.2 * columns + 3
    landed = moved_points(np.array([[27.0, 40], [123, 7]]), shift)
    np.testing.assert_allclose(landed, [[20, 40], [100, 7]], atol=0.02)


def test_no_pixel_moves_farther_than_the_amplitude():
    shift = RandomElastic(amplitude_range=(4, 4))._shift(np.random.default_rng(0), 120, 90)
    assert np.linalg.norm(shift, axis=-1).max() == pytest.approx(4, rel=1e-4)
    steepest = max(np.abs(np.diff(shift, axis=axis)).max() for axis in (0, 1))
    assert steepest < 0.5


def test_points_that_leave_and_the_way_back():
    sample = crop()
    sample["transformed_keypoints"] = np.full_like(sample["transformed_keypoints"], -30)
    out = RandomElastic(prob=1.0)(sample)
    assert (out["keypoints_visible"] == 0).all()
    assert "input_center" not in RandomElastic(prob=1.0)(crop())
    still = RandomElastic(prob=0.0)(crop())
    assert "input_center" in still
    np.testing.assert_array_equal(still["img"], crop()["img"])


@pytest.mark.parametrize(
    "options", [dict(prob=2), dict(amplitude_range=(2, 30)), dict(amplitude_range=(0, 1))]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="RandomElastic"):
        RandomElastic(**options)


def test_masks_would_stay_behind():
    with pytest.raises(ValueError, match="bottom-up"):
        RandomElastic(prob=1.0)({**crop(), "invalid_segs": [[0, 0, 1, 1, 1, 0]]})
