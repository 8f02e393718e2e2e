import numpy as np
import pytest

from equikpt.datasets.transforms import RandomRadiographArtifacts

GRAY = 90


def radiograph(points=((60.0, 50.0), (62.0, 30.0)), visible=(1.0, 1.0)) -> dict:
    return dict(
        img=np.full((120, 100, 3), GRAY, np.uint8),
        keypoints=np.array([points]),
        transformed_keypoints=np.array([points]),
        keypoints_visible=np.array([visible]),
        input_size=(100, 120),
    )


def drawn(transform, sample, seed) -> np.ndarray:
    np.random.seed(seed)  # noqa: NPY002 - MMPose's transforms share this state
    return (transform.transform(dict(sample))["img"] != GRAY).any(axis=2)


def test_nothing_is_drawn_near_the_marks_and_something_elsewhere():
    transform = RandomRadiographArtifacts(border_prob=0.7, ruler_prob=1, clearance=0.1)
    masks = np.stack([drawn(transform, radiograph(), seed) for seed in range(60)])
    assert not masks[:, 21:60, 51:72].any()
    assert masks.any(axis=(1, 2)).mean() > 0.9
    assert masks[:, :, :5].any(axis=(1, 2)).mean() > 0.4  # the left strip


def test_a_border_reaches_over_its_whole_side_and_stops_before_the_marks():
    transform = RandomRadiographArtifacts(
        border_prob=1, border_range=(0.45, 0.45), ruler_prob=0, clearance=0.05
    )
    sample = radiograph(points=((20.0, 15.0), (20.0, 12.0)))
    masks = [drawn(transform, sample, seed) for seed in range(8)]
    assert any(mask[:, 60].all() and mask[100].all() for mask in masks)  # right and below
    assert not any(mask[8:19, 16:25].any() for mask in masks)


def test_unlabelled_marks_are_not_spared():
    transform = RandomRadiographArtifacts(border_prob=1, border_range=(0.4, 0.49), ruler_prob=0)
    masks = np.stack([drawn(transform, radiograph(visible=(0.0, 0.0)), seed) for seed in range(9)])
    assert masks[:, 30:50, 55:65].any()


def test_the_image_is_copied_and_seeded():
    transform = RandomRadiographArtifacts(border_prob=0.5, ruler_prob=0.5)
    sample = radiograph()
    once, again = (drawn(transform, sample, seed=3) for _ in range(2))
    assert (once == again).all()
    assert (sample["img"] == GRAY).all()
    idle = RandomRadiographArtifacts(border_prob=0, ruler_prob=0)
    assert idle.transform(sample)["img"] is sample["img"]


@pytest.mark.parametrize(
    "wrong", [dict(border_prob=2), dict(ruler_range=(0.3, 0.1)), dict(clearance=0.5)]
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomRadiographArtifacts(**wrong)
