from __future__ import annotations

import numpy as np
import pytest
from mmpose.datasets.transforms import GetBBoxCenterScale, RandomFlip, TopdownAffine

from equikpt.datasets.transforms import RandomFlipKeypoints
from tests.datasets.transforms.blobs import FLIP_INDICES, BlobSample, blob_centroids

DIRECTIONS = ["horizontal", "vertical", "diagonal"]


def sample(**extra) -> dict:
    results = BlobSample(1).results(**extra)
    results["keypoints_visible"] = np.array([[1, 0, 1]], np.float32)
    results["keypoints_visibility"] = np.array([[2, 0, 1]], np.uint8)
    return results


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_points_visibility_and_boxes_follow_the_image(direction):
    out = RandomFlipKeypoints(prob=1.0, direction=direction)(sample())
    rows = [0, 1, 2] if direction == "diagonal" else FLIP_INDICES
    assert np.allclose(out["keypoints"][0], blob_centroids(out["img"])[rows], atol=0.05)
    assert np.array_equal(out["keypoints_visible"], sample()["keypoints_visible"][:, rows])
    assert np.array_equal(out["keypoints_visibility"], sample()["keypoints_visibility"][:, rows])
    low, high = out["keypoints"][0].min(axis=0), out["keypoints"][0].max(axis=0)
    assert np.allclose(out["bbox"], np.hstack([low - 20, high + 20])[None], atol=1e-3)


def test_the_stock_flip_leaves_the_visibility_behind():
    """The control: this is what the subclass is for."""
    out = RandomFlip(prob=1.0)(sample())
    assert np.array_equal(out["keypoints_visibility"], sample()["keypoints_visibility"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_twice_is_the_identity(direction):
    flip = RandomFlipKeypoints(prob=1.0, direction=direction)
    before = GetBBoxCenterScale()(sample(bbox_rotation=np.array([17.0])))
    after = flip(flip(dict(before)))
    for key in before:
        assert np.allclose(after[key], before[key], atol=1e-4), key


def test_a_sample_that_is_not_flipped_stays():
    out = RandomFlipKeypoints(prob=0.0)(sample())
    assert out["flip"] is False
    assert all(np.array_equal(out[key], value) for key, value in sample().items())


ROTATED = dict(bbox_rotation=np.array([25.0]))


@pytest.mark.parametrize("flip_at", [0, 1, 2], ids=["before-box", "after-box", "after-rotation"])
def test_the_crop_is_the_mirrored_crop_wherever_the_flip_stands(flip_at):
    """And its points lie on their blobs."""
    steps = [GetBBoxCenterScale(padding=2.0), lambda results: {**results, **ROTATED}]
    plain = sample()
    for step in steps:
        plain = step(plain)
    if flip_at < 2:  # the box turns the same way after the flip: not the mirrored crop
        plain["bbox_rotation"] = -plain["bbox_rotation"]
    crop = TopdownAffine(input_size=(255, 201), use_udp=True)
    expected = crop(plain)

    steps.insert(flip_at, RandomFlipKeypoints(prob=1.0))
    out = sample()
    for step in steps:
        out = step(out)
    out = crop(out)
    assert np.abs(out["img"].astype(int) - expected["img"][:, ::-1]).max() <= 2  # rounding
    points = blob_centroids(out["img"])[FLIP_INDICES]
    assert np.allclose(out["transformed_keypoints"][0], points, atol=0.25)


def test_it_refuses_to_stand_behind_topdown_affine():
    results = TopdownAffine(input_size=(256, 192))(GetBBoxCenterScale()(sample()))
    with pytest.raises(ValueError, match="before TopdownAffine"):
        RandomFlipKeypoints(prob=1.0)(results)


def test_it_stands_behind_a_bottom_up_transform_where_the_input_is_square():
    results = sample(input_size=(240, 200))
    with pytest.raises(ValueError, match="square input .* got 240 x 200 px"):
        RandomFlipKeypoints(prob=1.0)(results)
    square = BlobSample(1, width=200).results(input_size=(200, 200))
    out = RandomFlipKeypoints(prob=1.0)(square)
    assert np.allclose(out["keypoints"][0], blob_centroids(out["img"])[FLIP_INDICES], atol=0.05)
