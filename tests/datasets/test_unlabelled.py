import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

import equikpt.register  # noqa: F401
from equikpt.cli.launch import load_config
from equikpt.datasets.unlabelled import (
    LEFT_OUT,
    StreamSampler,
    UnlabelledDataset,
    affine_between,
    cut_out,
    views,
)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmpose")


@pytest.fixture
def train_part():
    return load_config("smoke/rtmpose_m_ap10k").train_dataloader.dataset


@pytest.fixture
def disk(tmp_path):
    """A black image with a white disk of 7 px around (60, 45)."""
    path = tmp_path / "disk.png"
    cv2.imwrite(str(path), cv2.circle(np.zeros((90, 120, 3), np.uint8), (60, 45), 7, [255] * 3, -1))
    return path


def center(view: torch.Tensor) -> np.ndarray:
    rows, columns = np.nonzero(view[0].numpy() > 127)
    return np.array([columns.mean(), rows.mean()])


def test_the_map_leads_from_the_weak_to_the_strong_view(train_part, disk):
    pixels_stay = [step for step in train_part.pipeline if step.type != "AlbumentationsV2"]
    dataset = UnlabelledDataset([(disk, [0, 0, 120, 90])], pixels_stay, train_part.codec)
    np.random.seed(0)  # noqa: NPY002 - MMPose's transforms draw from this state
    mirrored = 0
    for _ in range(20):
        sample = dataset[0]
        assert sample["weak"].shape == sample["strong"].shape == (3, 128, 128)
        matrix = sample["matrix"].numpy()
        expected = matrix[:, :2] @ center(sample["weak"]) + matrix[:, 2]
        np.testing.assert_allclose(center(sample["strong"]), expected, atol=0.8)
        mirrored += np.linalg.det(matrix[:, :2]) < 0
    assert 4 < mirrored < 16


def test_the_views_are_those_of_the_training_without_what_needs_labels():
    pipeline = load_config("rtmpose_m_ap10k").train_dataloader.dataset.pipeline
    weak, strong = views(pipeline)
    assert [step["type"] for step in weak] == [
        *("LoadCachedImage", "GetBBoxCenterScale", "FastRandomBBoxTransform", "TopdownAffineCrop")
    ]
    kinds = [step["type"] for step in strong]
    assert {"RandomFlipKeypoints", "AlbumentationsV2"} <= set(kinds)
    assert not {*kinds} & {*LEFT_OUT}


def test_the_whole_pipeline_of_a_config_runs_without_labels(disk):
    part = load_config("rtmpose_m_ap10k").train_dataloader.dataset
    dataset = UnlabelledDataset([(disk, [10, 10, 90, 80])], part.pipeline, part.codec)
    for _ in range(10):
        assert dataset[0]["strong"].shape == (3, 256, 256)


def test_a_pipeline_without_a_box_and_a_map_that_bends_are_refused():
    with pytest.raises(ValueError, match="top-down"):
        views([dict(type="LoadCachedImage"), dict(type="WholeImageResize")])
    square = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    bent = square + [[0, 0], [0, 0], [0, 0], [9, 9]]
    with pytest.raises(ValueError, match="affine"):
        affine_between(square, bent)


def test_all_images_come_equally_often_and_ranks_share_an_epoch_out():
    alone = StreamSampler(size=7, count=6, seed=3)
    epochs = []
    for alone.epoch in range(7):
        epochs.append([*alone])
    assert np.bincount(np.concatenate(epochs)).tolist() == [6] * 7
    assert epochs[1] != epochs[2]
    alone.epoch = 4
    assert [*alone] == epochs[4]
    ranks = [StreamSampler(7, 3, 3, rank, world_size=2) for rank in (0, 1)]
    for each in ranks:
        each.epoch = 4
    assert [*np.stack([[*each] for each in ranks], axis=1).ravel()] == epochs[4]


def test_holes_cover_their_points_and_leave_the_image_given():
    torch.manual_seed(0)
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    points = torch.tensor([[10.0, 20], [63, 0]])
    covered = cut_out(image, points, (0.1, 0.2))
    assert image.max() == 0
    for x, y in points.int().tolist():
        assert covered[:, y, x].max() > 0
    share = (covered.amax(0) > 0).float().mean()
    assert 0.005 < share < 2 * 0.2**2
