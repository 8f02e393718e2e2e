from __future__ import annotations

import json

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from equikpt.core.groups import GroupRule
from equikpt.report.testing import as_sample, key_of

ANNOTATION = dict(keypoints=[1, 2, 2, 3, 4, 1], bbox=[0, 0, 10, 20], area=100, horse="Anna")


def data_sample(annotations, keypoints, **predicted) -> PoseDataSample:
    sample = PoseDataSample(
        metainfo=dict(img_path="images/a_1.png", raw_ann_info=annotations),
    )
    shape = np.shape(keypoints)[:2]
    sample.pred_instances = InstanceData(
        keypoints=np.asarray(keypoints), keypoint_scores=np.full(shape, 0.25), **predicted
    )
    return sample


@pytest.mark.parametrize(
    ("rule", "group"),
    [
        pytest.param(GroupRule(), "images/a_1.png", id="the image"),
        pytest.param(GroupRule(key="horse"), "Anna", id="a key"),
        pytest.param(GroupRule(regex=r"/(\w)_"), "a", id="the name"),
    ],
)
def test_one_instance(rule, group):
    sample = as_sample(data_sample(ANNOTATION, [[[1.0004, 2], [5, 6]]]), rule)
    assert sample.image == "images/a_1.png"
    assert sample.group == group
    assert sample.predicted == [[[1.0, 2.0], [5.0, 6.0]]]
    assert sample.scores == [[0.25, 0.25]]
    assert sample.gt == [[[1, 2, 2], [3, 4, 1]]]
    assert (sample.boxes, sample.areas, sample.kinds) == ([[0, 0, 10, 20]], [100], [])


def test_of_a_image_with_many_the_unlabelled_are_left_out():
    crowd = dict(keypoints=[0, 0, 0, 0, 0, 0], bbox=[5, 5, 5, 5], area=25)
    sample = as_sample(data_sample([crowd, ANNOTATION], np.zeros((3, 2, 2))), GroupRule())
    assert len(sample.predicted) == 3
    assert sample.gt == [[[1, 2, 2], [3, 4, 1]]]
    assert sample.areas == [100]


def test_single_points_keep_their_kinds():
    points = data_sample([ANNOTATION], np.zeros((2, 1, 2)), labels=np.array([1, 0]))
    assert as_sample(points, GroupRule()).kinds == [1, 0]


def test_things_without_boxes():
    bare = dict(keypoints=[1, 2, 2, 3, 4, 2])
    sample = as_sample(data_sample(bare, np.zeros((1, 5, 2))), GroupRule())
    assert (sample.boxes, sample.areas) == ([], [])
    assert len(sample.predicted[0]) == 5


def test_detected_boxes_have_no_gt():
    assert as_sample(data_sample(None, np.zeros((1, 2, 2))), GroupRule()).gt == []


@pytest.fixture
def setting(tmp_path):
    """A config, and the checkpoint that it tests."""
    (tmp_path / "labels.json").write_text(json.dumps({}))
    (tmp_path / "best.pth").write_bytes(b"weights")
    dataset = dict(data_root=str(tmp_path), ann_file="labels.json")
    cfg = Config(
        dict(
            model=dict(test_cfg=dict(flip_test=True)),
            test_dataloader=dict(dataset=dataset),
            test_evaluator=dict(type="CocoMetric"),
            train_cfg=dict(max_epochs=1),
        )
    )
    return cfg, tmp_path / "best.pth"


def relabel(cfg, checkpoint):
    (checkpoint.parent / "labels.json").write_text("[]")


def retrain(cfg, checkpoint):
    checkpoint.write_bytes(b"other")


CHANGES = [
    pytest.param(relabel, True, id="labels"),
    pytest.param(retrain, True, id="checkpoint"),
    pytest.param(lambda cfg, _: cfg.model.test_cfg.update(flip_test=False), True, id="test_cfg"),
    pytest.param(lambda cfg, _: cfg.train_cfg.update(max_epochs=9), False, id="training"),
    pytest.param(lambda cfg, _: None, False, id="nothing"),
]


@pytest.mark.parametrize(("change", "differs"), CHANGES)
def test_the_key_tells_whether_a_test_would_be_another(setting, change, differs):
    before = key_of(*setting)
    change(*setting)
    assert (key_of(*setting) != before) is differs
