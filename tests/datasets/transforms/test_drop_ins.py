"""The faster drop-ins together: a pipeline of them is the stock pipeline, seed for seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import equikpt.codecs  # noqa: F401 - registers the encoder
from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.datasets.image_cache import ImageCache

CODEC = dict(input_size=(64, 48), sigma=(3.0, 3.0), normalize=False)


def pipeline(fast: bool, **loader) -> list[dict]:
    return [
        dict(type="mmpose.LoadCachedImage" if fast else "mmpose.LoadImage", **loader),
        dict(type="mmpose.GetBBoxCenterScale"),
        dict(type="mmpose.RandomFlip", prob=0.5),
        dict(type="mmpose.FastRandomBBoxTransform" if fast else "mmpose.RandomBBoxTransform"),
        dict(
            type="mmpose.TopdownAffineCrop" if fast else "mmpose.TopdownAffine",
            input_size=CODEC["input_size"],
        ),
        dict(
            type="mmpose.GenerateTarget",
            encoder=dict(type="mmpose.FastSimCCLabel" if fast else "mmpose.SimCCLabel", **CODEC),
        ),
        dict(type="mmpose.FastPackPoseInputs" if fast else "mmpose.PackPoseInputs"),
    ]


@pytest.mark.parametrize("bound", [0, 10**7], ids=["decoding", "cached"])
def test_the_samples_of_a_seed(make_coco, write_coco, tiny_metainfo, bound):
    files = write_coco(make_coco(num_images=6))
    options = dict(metainfo=tiny_metainfo, **files)
    stock = CheckedCocoDataset(pipeline=pipeline(False), **options)
    fast = CheckedCocoDataset(pipeline=pipeline(True, max_bytes=bound), **options)
    assert isinstance(fast.pipeline.transforms[0].cache, ImageCache)
    flips = 0
    for seed in range(4):  # the later ones from the store
        samples = []
        for dataset in (stock, fast):
            np.random.seed(seed)  # noqa: NPY002 - what MMEngine seeds
            samples.append([dataset[i] for i in range(len(dataset))])
        for expected, got in zip(*samples, strict=True):
            level = (got["inputs"].int() - expected["inputs"].int()).abs().max()
            assert level <= 1
            expected, got = expected["data_samples"], got["data_samples"]
            flips += got.flip
            assert got.flip == expected.flip
            assert got.raw_ann_info == expected.raw_ann_info
            assert np.allclose(got.input_scale, expected.input_scale, atol=1e-3)
            for axis in ("keypoint_x_labels", "keypoint_y_labels", "keypoint_weights"):
                wanted = expected.gt_instance_labels.get(axis)
                assert torch.allclose(got.gt_instance_labels.get(axis), wanted, atol=1e-6)
    assert 0 < flips < 4 * len(stock)
    assert bool(len(fast.pipeline.transforms[0].cache)) == bool(bound)
