from __future__ import annotations

import numpy as np
import pytest
from mmengine.dataset import Compose

from equikpt.datasets.transforms import FastPackPoseInputs, RandomFlipKeypoints, RandomFrameCut
from tests.datasets.transforms.blobs import FLIP_INDICES, BlobSample

TRIES = 200


def sample() -> dict:
    results = BlobSample(1).results()
    results["keypoints_visible"] = np.ones((1, 3), np.float32)
    results["keypoints_visibility"] = np.array([[2, 2, 1]], np.uint8)
    return results


def cuts() -> list[dict]:
    """Samples that were cut, of as many tries."""
    np.random.seed(0)  # noqa: NPY002 - transforms draw from the state that MMEngine seeds
    whole = sample()["img"].shape
    found = [RandomFrameCut(prob=1.0)(sample()) for _ in range(TRIES)]
    return [each for each in found if each["img"].shape != whole]


def test_points_that_stay_lie_on_the_image_and_the_others_are_dropped():
    found = cuts()
    assert len(found) > TRIES / 4
    kinds = set()
    for results in found:
        height, width = results["img"].shape[:2]
        points, visible = results["keypoints"][0], results["keypoints_visible"][0] > 0
        inside = ((points >= -0.5) & (points < (width - 0.5, height - 0.5))).all(axis=1)
        assert np.array_equal(visible, inside)
        assert np.array_equal(results["keypoints_gone"][0], ~inside)
        for index in np.flatnonzero(inside):
            x, y = points[index].round().astype(int)
            assert results["img"][y, x].any()  # the blob moved along
        low, high = results["bbox"][0, :2], results["bbox"][0, 2:]
        assert (low >= 0).all()
        assert (high <= (width - 1, height - 1)).all()
        assert (high > low).all()
        kinds.add(int(visible.sum()))
    assert kinds == {1, 2, 3}


def test_a_cut_point_is_absent_and_follows_a_flip():
    steps = Compose([RandomFlipKeypoints(prob=1.0), FastPackPoseInputs(meta_keys=())])
    for results in cuts():
        gone = results["keypoints_gone"][0]
        packed = steps(results)["data_samples"]
        labels = packed.gt_instance_labels.visibility_labels[0].numpy()
        assert np.array_equal(labels == 0, gone[FLIP_INDICES])
        assert (labels != -1).all()


def test_no_cut_without_probability():
    before = sample()
    after = RandomFrameCut(prob=0.0)(sample())
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_too_few_points_are_not_cut():
    results = RandomFrameCut(prob=1.0, min_points=4)(sample())
    assert np.array_equal(results["img"], sample()["img"])


@pytest.mark.parametrize("wrong", [dict(prob=2), dict(min_size=0), dict(min_points=0)])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomFrameCut(**wrong)
