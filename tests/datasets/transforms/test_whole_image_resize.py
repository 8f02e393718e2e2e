from __future__ import annotations

import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

import equikpt.datasets.transforms  # noqa: F401


@pytest.mark.parametrize(("width", "height"), [(200, 150), (90, 160)])
def test_points_go_where_the_image_goes(width, height):
    image = np.zeros((height, width, 3), np.uint8)
    x, y = 0.6 * width, 0.4 * height
    image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255
    resize = TRANSFORMS.build(dict(type="WholeImageResize", input_size=(128, 128)))
    results = resize(
        dict(
            img=image,
            img_shape=image.shape[:2],
            ori_shape=image.shape[:2],
            keypoints=np.array([[[int(x), int(y)]]], np.float32),
        )
    )
    assert results["img"].shape == (128, 128, 3)
    assert results["img_shape"] == (height, width)
    bright = np.argwhere(results["img"][..., 0] > 64).mean(0)[::-1]
    assert np.abs(results["transformed_keypoints"][0, 0] - bright).max() < 1
    assert results["keypoints"].tolist() == [[[int(x), int(y)]]], "judged in px of the image"


def test_images_without_points():
    image = np.zeros((50, 60, 3), np.uint8)
    shapes = dict(img_shape=(50, 60), ori_shape=(50, 60))
    results = TRANSFORMS.build(dict(type="WholeImageResize", input_size=(64, 64)))(
        dict(img=image, **shapes)
    )
    assert "transformed_keypoints" not in results


def test_refuses_udp():
    with pytest.raises(ValueError, match="without use_udp"):
        TRANSFORMS.build(dict(type="WholeImageResize", input_size=(64, 64), use_udp=True))
