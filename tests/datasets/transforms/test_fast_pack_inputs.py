from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from mmpose.datasets.transforms import PackPoseInputs

from equikpt.datasets.transforms import FastPackPoseInputs
from equikpt.datasets.transforms.fast_pack_inputs import channels_first


def sample(seed: int = 0, **extra) -> dict:
    rng = np.random.default_rng(seed)
    return dict(
        img=rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
        id=7,
        img_id=5,
        img_path="a.jpg",
        input_size=(64, 48),
        flip_indices=[0, 2, 1],
        bbox=rng.uniform(0, 40, (1, 4)).astype(np.float32),
        keypoints=rng.uniform(0, 40, (1, 3, 2)).astype(np.float32),
        keypoints_visible=np.ones((1, 3), np.float32),
        keypoint_weights=np.ones((1, 3), np.float32),
        heatmaps=rng.random((3, 12, 16)).astype(np.float32),
        raw_ann_info=dict(id=7, keypoints=[1.0, 2.0, 2]),
        **extra,
    )


def assert_same(got, expected, name: str = "sample") -> None:
    if isinstance(expected, BaseDataElement):
        assert type(got) is type(expected), name
        assert set(got.all_keys()) == set(expected.all_keys()), name
        assert set(got.metainfo_keys()) == set(expected.metainfo_keys()), name
        for key, value in expected.all_items():
            assert_same(got.get(key), value, f"{name}.{key}")
    elif isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype, name
        assert torch.equal(got, expected), name
    elif isinstance(expected, np.ndarray):
        assert np.array_equal(got, expected), name
    else:
        assert got == expected, name


@pytest.mark.parametrize(
    "options",
    [{}, dict(meta_keys=("id", "flip_indices")), dict(pack_transformed=True)],
    ids=["plain", "few-keys", "transformed"],
)
def test_the_packed_sample_is_the_stock_one(options):
    extra = dict(transformed_keypoints=np.ones((1, 3, 2), np.float32))
    stock, ours = (
        kind(**options)(sample(**extra)) for kind in (PackPoseInputs, FastPackPoseInputs)
    )
    assert ours.keys() == stock.keys()
    assert_same(ours["inputs"], stock["inputs"])
    assert ours["inputs"].is_contiguous()
    assert_same(ours["data_samples"], stock["data_samples"])


def test_the_sample_is_left_as_it_was():
    before, given = sample(), sample()
    FastPackPoseInputs()(given)
    assert given.keys() == before.keys()
    assert np.array_equal(given["img"], before["img"])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_come_first(channels, dtype):
    image = np.random.default_rng(0).uniform(0, 255, (5, 7, channels)).astype(dtype)
    assert np.array_equal(channels_first(image).numpy(), image.transpose(2, 0, 1))
    mirrored = image[:, ::-1]
    assert np.array_equal(channels_first(mirrored).numpy(), mirrored.transpose(2, 0, 1))


def test_grey_images_and_lists_go_the_stock_way():
    for image in (np.zeros((4, 5), np.uint8), [np.zeros((4, 5, 3), np.uint8)] * 2):
        stock, ours = (
            kind()({**sample(), "img": image}) for kind in (PackPoseInputs, FastPackPoseInputs)
        )
        assert torch.equal(ours["inputs"], stock["inputs"])
