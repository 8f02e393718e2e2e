"""Crops of the runtime, which has no MMPose, are those of MMPose's transforms."""

import numpy as np
import pytest
from mmpose.datasets.transforms import BottomupResize, GetBBoxCenterScale, TopdownAffine
from mmpose.structures.bbox import get_warp_matrix

from equikpt_runtime.crops import Cropper


def image_of(rng: np.random.Generator) -> np.ndarray:
    width, height = rng.integers(20, 400, 2)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("udp", [True, False], ids=["udp", "plain"])
@pytest.mark.parametrize("size", [(192, 192), (192, 256), (97, 64)], ids=str)
@pytest.mark.parametrize("padding", [1.0, 1.25])
def test_crops_of_boxes_are_mmposes_to_the_bit(udp, size, padding):
    rng = np.random.default_rng(0)
    cropper = Cropper(size, dict(rule="box", padding=padding, udp=udp))
    for _ in range(30):
        image = image_of(rng)
        low = rng.uniform(-20, 200, 2)
        box = np.concatenate([low, low + rng.uniform(1, 300, 2)])
        sample = dict(img=image, bbox=box[None].astype(np.float32))
        sample = GetBBoxCenterScale(padding).transform(sample)
        sample = TopdownAffine(size, use_udp=udp).transform(sample)
        ours = np.empty((*size[::-1], 3), np.uint8)
        crop = cropper.cut(image, box, ours)
        np.testing.assert_array_equal(ours[..., ::-1], sample["img"])
        np.testing.assert_array_equal(crop.center, sample["input_center"])
        np.testing.assert_array_equal(crop.scale, sample["input_scale"])
        assert crop.scale.dtype == sample["input_scale"].dtype
        points = rng.uniform(0, 100, (1, 5, 2))
        scale, center = sample["input_scale"], sample["input_center"]
        there = points / size * scale + center - 0.5 * scale
        np.testing.assert_allclose(cropper.to_image(points, [crop]), there, rtol=1e-6, atol=1e-4)


def test_fitted_whole_images_are_mmposes_to_the_bit():
    rng = np.random.default_rng(1)
    cropper = Cropper((96, 64), dict(rule="fit"))
    for _ in range(30):
        image = image_of(rng)
        sample = BottomupResize((96, 64)).transform(dict(img=image, ori_shape=image.shape[:2]))
        ours = np.empty((64, 96, 3), np.uint8)
        crop = cropper.cut(image, np.zeros(4), ours)
        np.testing.assert_array_equal(ours[..., ::-1], sample["img"])
        np.testing.assert_array_equal(crop.scale, sample["input_scale"])
        matrix = get_warp_matrix(crop.center, crop.scale, 0, (96, 64))
        np.testing.assert_array_equal(crop.matrix, matrix)


def test_a_crop_of_the_other_kind_differs():
    image, box = image_of(np.random.default_rng(2)), np.array([5, 5, 90, 60])
    one, other = (np.empty((64, 64, 3), np.uint8) for _ in range(2))
    Cropper((64, 64), dict(rule="box", udp=True)).cut(image, box, one)
    Cropper((64, 64), dict(rule="box", udp=False)).cut(image, box, other)
    assert (one != other).any()
