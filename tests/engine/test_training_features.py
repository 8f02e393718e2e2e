from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.cli.launch import load_config, set_data_root
from equikpt.engine.training_features import features_of, training_features_of, view_samples
from equikpt_runtime.boxes import whole_image
from tests.random_models import random_checkpoint

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture(scope="module")
def cfg(sample_data):
    cfg = load_config(CONFIG)
    set_data_root(cfg, str(sample_data))
    return cfg


@pytest.fixture(scope="module")
def predictor(cfg, tmp_path_factory) -> BoxPredictor:
    return BoxPredictor(cfg, random_checkpoint(CONFIG, tmp_path_factory.mktemp("weights")), "cpu")


@pytest.fixture(scope="module")
def views(cfg) -> list[dict]:
    return list(view_samples(cfg, "val"))


def test_each_instance_and_each_whole_image_is_looked_at_once(views, sample_data):
    content = json.loads((sample_data / "annotations/val.json").read_text())
    boxes = [each["data_samples"].gt_instances.bboxes[0] for each in views]
    sizes = [each["data_samples"].ori_shape[::-1] for each in views]
    whole = [np.allclose(box[2:] + 1, size) for box, size in zip(boxes, sizes, strict=True)]
    assert len(views) - sum(whole) == len(content["annotations"])
    assert sum(whole) == len({each["image_id"] for each in content["annotations"]})
    assert not any("keypoint_weights" in each["data_samples"].gt_instance_labels for each in views)


def test_a_limit_keeps_some_of_them(cfg):
    assert 6 < len(list(view_samples(cfg, "val", limit=6))) <= 12


def test_features_are_those_that_a_prediction_is_compared_by(predictor, views):
    """Between fitting and use nothing may differ: neither crop nor pooling nor colours."""
    model = predictor.model
    record = training_features_of(model, views[:8], views[8:12], "val.json")
    features, images = features_of(model, views)
    assert not model.training
    assert len(set(images)) < len(images) == len(features)
    sample = views[0]["data_samples"]
    image = predictor.pipeline.transforms[0](dict(img_path=sample.img_path))["img"]
    model.training_features = record
    try:
        views = [sample.gt_instances.bboxes[0], whole_image(image)]
        found = [each.novelty[0] for each in predictor(image, views)]
    finally:
        model.training_features = None
    np.testing.assert_allclose(found, record.novelty(features[:2]), rtol=1e-3)
    assert abs(found[0] - found[1]) > 0.01 * found[0]


def test_nothing_to_look_at_is_refused(predictor):
    with pytest.raises(ValueError, match="got none"):
        features_of(predictor.model, [])


def test_the_mode_of_the_model_stays(predictor, views):
    model = predictor.model
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    features_of(model, views[:2])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.eval()
