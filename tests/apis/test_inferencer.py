from __future__ import annotations

import copy

import numpy as np
import pytest

from equikpt.apis.inferencer import BoxPredictor, metainfo_of, whole_image
from equikpt.cli.launch import load_config
from tests.random_models import random_checkpoint

TOP_DOWN = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return random_checkpoint(TOP_DOWN, tmp_path_factory.mktemp("weights"))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_the_config_stays_as_it_was(checkpoint):
    cfg = load_config(TOP_DOWN)
    before = copy.deepcopy(cfg.to_dict())
    BoxPredictor(cfg, checkpoint, maps=True)
    assert cfg.to_dict() == before
    assert cfg.model.backbone.weights == "package"


def test_boxes_of_several_images_at_once_are_those_one_by_one(checkpoint, image):
    predictor = BoxPredictor(load_config(TOP_DOWN), checkpoint)
    views = [(image, np.array([10, 5, 80, 70])), (image[:60], np.array([0, 0, 119, 59]))]
    together = predictor.batch(views)
    for sample, (its_image, box) in zip(together, views, strict=True):
        (alone,) = predictor(its_image, [box])
        assert alone.keypoints.shape == (1, 26, 2)
        np.testing.assert_allclose(sample.pred_instances.keypoints, alone.keypoints, atol=1e-3)
    assert predictor.batch([]) == []


def test_maps_come_where_they_are_asked_for(checkpoint, image):
    box = whole_image(image)
    (with_maps,) = BoxPredictor(load_config(TOP_DOWN), checkpoint, maps=True).samples(image, [box])
    (without,) = BoxPredictor(load_config(TOP_DOWN), checkpoint).samples(image, [box])
    assert with_maps.pred_fields.heatmaps.shape == (26, 16, 16)
    assert "pred_fields" not in without


def test_the_flip_test_knows_the_sides(checkpoint, image):
    """In a mirrored image each side has the score of the other, but for rounding."""
    predictor = BoxPredictor(load_config(TOP_DOWN), checkpoint)
    (plain,) = predictor(image, [whole_image(image)])
    (mirrored,) = predictor(np.ascontiguousarray(image[:, ::-1]), [whole_image(image)])
    swap = predictor.metainfo["flip_indices"]
    swapped = np.abs(plain.keypoint_scores - mirrored.keypoint_scores[:, swap]).max()
    unswapped = np.abs(plain.keypoint_scores - mirrored.keypoint_scores).max()
    assert swapped < 0.1 * unswapped


def test_metainfo_is_of_the_data_set_or_of_the_config():
    cfg = load_config(TOP_DOWN)
    assert metainfo_of(cfg)["dataset_name"] == "horse26"
    cfg.test_dataloader.dataset.metainfo = dict(
        dataset_name="own",
        keypoint_info={0: dict(name="nose", id=0, color=[1, 2, 3], type="upper", swap="")},
        skeleton_info={},
        joint_weights=[1.0],
        sigmas=[0.05],
    )
    assert metainfo_of(cfg)["dataset_name"] == "own"
