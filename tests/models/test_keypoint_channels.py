"""Heads of every kind against the data set's number of keypoints."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import equikpt.register  # noqa: F401
from equikpt.apis.box_predictor import metainfo_of
from equikpt.core.configs import find_config, list_configs
from equikpt.models.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)


def model_of(head: dict) -> SimpleNamespace:
    init_default_scope("mmpose")
    return SimpleNamespace(head=MODELS.build(head))


@pytest.mark.parametrize("name", list_configs())
def test_the_head_of_each_config_fits_its_data_set_and_no_other(name):
    cfg = Config.fromfile(find_config(name))
    model, metainfo = model_of(cfg.model.head), metainfo_of(cfg)
    check_keypoint_channels(model, metainfo)
    other = {**metainfo, "num_keypoints": metainfo["num_keypoints"] + 1}
    if "fsc147" in name:  # counts unnamed things
        check_keypoint_channels(model, other)
        return
    count = other["num_keypoints"]
    with pytest.raises(ValueError, match=rf"the {count} keypoints .*set model\.head\.\w+={count}"):
        check_keypoint_channels(model, other)


OTHERS = {
    "regression": dict(type="RegressionHead", in_channels=8, num_joints=5),
    "both": dict(
        type="AssociativeEmbeddingHead",
        in_channels=8,
        num_keypoints=5,
        tag_per_keypoint=True,
        deconv_out_channels=None,
        keypoint_loss=dict(type="KeypointMSELoss"),
        tag_loss=dict(type="AssociativeEmbeddingLoss"),
    ),
    "disk and offsets": dict(
        type="HeatmapHead",
        in_channels=8,
        out_channels=15,
        deconv_out_channels=None,
        decoder=dict(
            type="UDPHeatmap", input_size=(64, 64), heatmap_size=(16, 16), heatmap_type="combined"
        ),
    ),
}


@pytest.mark.parametrize("head", OTHERS.values(), ids=OTHERS)
def test_heads_of_mmpose_that_count_otherwise(head):
    model = model_of(head)
    check_keypoint_channels(model, dict(num_keypoints=5))
    with pytest.raises(ValueError, match="for the 6 keypoints"):
        check_keypoint_channels(model, dict(num_keypoints=6))


def test_the_keypoints_are_named_and_so_is_the_option():
    model = model_of(dict(type="HeatmapHead", in_channels=8, out_channels=26))
    metainfo = dict(num_keypoints=2, keypoint_id2name={0: "p1", 1: "p2"})
    with pytest.raises(ValueError, match="out_channels=26"):
        check_keypoint_channels(model, metainfo)


def test_models_without_a_number_pass():
    check_keypoint_channels(SimpleNamespace(), dict(num_keypoints=5))
    check_keypoint_channels(SimpleNamespace(head=SimpleNamespace()), dict(num_keypoints=5))


def trained_on(*names: str) -> dict:
    return {"meta": {"dataset_meta": {"keypoint_id2name": dict(enumerate(names))}}}


@pytest.mark.parametrize(
    ("checkpoint", "named"),
    [
        (trained_on("r_eye", "l_eye"), "(0 was r_eye and is l_eye, 1 was l_eye and is r_eye)"),
        (trained_on("L Eye", "r-eye"), ""),
        (trained_on("nose"), ""),
        ({"meta": {}}, ""),
        ({"l_eye": 3}, ""),
    ],
    ids=["swapped", "spelling", "another number", "no names", "bare"],
)
def test_other_keypoints_of_the_same_number_are_named(checkpoint, named):
    found = describe_other_keypoints(checkpoint, dict(keypoint_id2name={0: "l_eye", 1: "r_eye"}))
    assert named in found
    assert bool(found) == bool(named)
