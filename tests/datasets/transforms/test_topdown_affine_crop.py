from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmpose.datasets.transforms import TopdownAffine

from equikpt.datasets.transforms import TopdownAffineCrop
from equikpt.datasets.transforms.topdown_affine_crop import needed_region

HEIGHT, WIDTH = 150, 220
VIEWS = {
    "plain": lambda image: image,
    "horizontal": lambda image: np.flip(image, 1),
    "vertical": lambda image: np.flip(image, 0),
    "diagonal": lambda image: np.flip(image, (0, 1)),
}


def draw(seed: int, view: str, channels: tuple[int, ...] = (3,)) -> dict:
    """A sample of noise, which shows any shift, with a random box that may leave the image."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, *channels), dtype=np.uint8)
    results = dict(
        img=VIEWS[view](image),
        bbox_center=rng.uniform((-40, -40), (WIDTH + 40, HEIGHT + 40), (1, 2)).astype(np.float32),
        bbox_scale=rng.uniform(8, 400, (1, 2)).astype(np.float32),
        keypoints=rng.uniform(-50, 250, (1, 5, 2)).astype(np.float32),
    )
    if seed % 3:
        results["bbox_rotation"] = rng.uniform(-180, 180, 1).astype(np.float32)
    return results


@pytest.mark.parametrize("use_udp", [False, True], ids=["plain", "udp"])
@pytest.mark.parametrize("view", VIEWS)
def test_the_output_is_that_of_the_stock_transform(view, use_udp):
    arguments = dict(input_size=(64, 48), use_udp=use_udp)
    stock, ours = TopdownAffine(**arguments), TopdownAffineCrop(**arguments)
    shown = 0
    for seed in range(60):
        expected, got = stock(draw(seed, view)), ours(draw(seed, view))
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert np.array_equal(got[key], value), (seed, key)
            assert np.asarray(got[key]).dtype == np.asarray(value).dtype
        shown += bool(expected["img"].any())
    assert shown > 40  # boxes beside the image are few


@pytest.mark.parametrize("channels", [(), (1,)], ids=["grey", "one-channel"])
def test_other_numbers_of_channels(channels):
    stock, ours = (kind((32, 32)) for kind in (TopdownAffine, TopdownAffineCrop))
    sample = lambda: draw(1, "horizontal", channels)  # noqa: E731
    assert np.array_equal(ours(sample())["img"], stock(sample())["img"])


def test_a_read_only_image_is_read_only():
    sample = draw(2, "horizontal")
    before = sample["img"].copy()
    sample["img"].flags.writeable = False
    image = sample["img"]
    TopdownAffineCrop((32, 32))(sample)
    assert np.array_equal(image, before)


def test_samples_without_labels_and_with_several_images():
    for change in (dict(keypoints=None), dict(img=[draw(3, "horizontal")["img"]] * 2)):
        stock, ours = (
            kind((32, 32))({**draw(4, "horizontal"), **change})
            for kind in (TopdownAffine, TopdownAffineCrop)
        )
        assert ours.keys() == stock.keys()
        for key, value in stock.items():
            assert np.array_equal(ours[key], value), key


def test_several_instances_are_refused():
    sample = draw(5, "plain")
    sample["bbox_center"] = np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="expected one instance a sample .* got 2"):
        TopdownAffineCrop((32, 32))(sample)


def test_the_needed_region_holds_all_that_an_output_shows():
    """Pixels outside it may be anything: the output does not change, inside it does."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    matrix = cv2.getRotationMatrix2D((110.0, 70.0), 30, 1.5)
    matrix[:, 2] -= (80, 40)
    left, top, right, bottom = needed_region(matrix, (48, 40), image.shape)
    assert (right - left) * (bottom - top) < image.size / 2
    expected = cv2.warpAffine(image, matrix, (48, 40))
    spoilt = 255 - image
    assert not np.array_equal(cv2.warpAffine(spoilt, matrix, (48, 40)), expected)
    spoilt[top:bottom, left:right] = image[top:bottom, left:right]
    assert np.array_equal(cv2.warpAffine(spoilt, matrix, (48, 40)), expected)
