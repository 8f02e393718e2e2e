from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample
from torch import nn

from equikpt.models import silence_untrained

TRAINED = np.array([True, False, True, False])


class Estimator(nn.Module):
    """Gives what it is asked for, as a pose estimator does in its mode ``predict``."""

    def forward(self, output=None, mode="predict", data_samples=None):
        return data_samples if output is None else output


@pytest.fixture
def model():
    made = Estimator()
    silence_untrained(made, TRAINED)
    return made


def sample(**fields) -> PoseDataSample:
    made = PoseDataSample()
    made.pred_instances = InstanceData(**fields)
    return made


@pytest.fixture
def pose():
    """Two instances of four keypoints."""
    keypoints = np.arange(16.0).reshape(2, 4, 2)
    scores = np.full((2, 4), 0.9)
    return sample(
        keypoints=keypoints,
        keypoint_scores=scores,
        keypoints_visible=scores.copy(),
        bboxes=np.zeros((2, 4)),
    )


def test_what_is_not_trained_scores_0_within_the_pose(model, pose):
    (found,) = model([pose])
    instances = found.pred_instances
    assert instances.keypoint_scores.tolist() == [[0.9, 0, 0.9, 0]] * 2
    assert instances.keypoints_visible.tolist() == [[0.9, 0, 0.9, 0]] * 2
    expected = np.arange(16.0).reshape(2, 4, 2)
    expected[:, 1] = expected[:, 3] = (expected[:, 0] + expected[:, 2]) / 2
    np.testing.assert_array_equal(instances.keypoints, expected)


def test_maps_are_empty(model, pose):
    pose.pred_fields = PixelData(heatmaps=torch.ones(4, 3, 5))
    pose.pred_instances.keypoint_x_labels = np.ones((2, 4, 7))
    (found,) = model([pose])
    assert found.pred_fields.heatmaps.amax((1, 2)).tolist() == [1, 0, 1, 0]
    assert found.pred_instances.keypoint_x_labels[0].max(axis=1).tolist() == [1, 0, 1, 0]


def test_peaks_are_left_out(model):
    peaks = sample(
        keypoints=np.arange(6.0).reshape(3, 1, 2),
        keypoint_scores=np.array([[0.9], [0.8], [0.7]]),
        labels=np.array([3, 0, 2]),
    )
    (found,) = model([peaks])
    assert found.pred_instances.labels.tolist() == [0, 2]
    assert found.pred_instances.keypoints[:, 0].tolist() == [[2, 3], [4, 5]]


def test_a_copy_is_silent_too(model, pose):
    (found,) = copy.deepcopy(model)([pose])
    assert found.pred_instances.keypoint_scores[0].tolist() == [0.9, 0, 0.9, 0]


def test_the_last_call_counts(model, pose):
    silence_untrained(model, np.array([True, True, True, False]))
    before = copy.deepcopy(pose)
    (found,) = model([pose])
    assert found.pred_instances.keypoint_scores[0].tolist() == [0.9, 0.9, 0.9, 0]
    silence_untrained(model, np.ones(4, bool))
    assert not model._forward_pre_hooks
    (found,) = model([before])
    assert found.pred_instances.keypoint_scores[0].tolist() == [0.9] * 4


@pytest.mark.parametrize("name", ["keypoint_weights", "points_valid"])
def test_a_validation_loss_gives_them_no_weight(model, name):
    labelled = PoseDataSample(gt_instance_labels=InstanceData(**{name: torch.ones(2, 4)}))
    model(data_samples=[labelled], mode="predict")
    assert labelled.gt_instance_labels[name].tolist() == [[1, 0, 1, 0]] * 2


@pytest.mark.parametrize("weights", [torch.ones(1, 4), torch.ones(1, 3)])
def test_weights_of_a_training_and_of_others_are_left_alone(model, weights):
    mode = "loss" if weights.shape[1] == 4 else "predict"
    labelled = PoseDataSample(gt_instance_labels=InstanceData(keypoint_weights=weights))
    model(data_samples=[labelled], mode=mode)
    assert labelled.gt_instance_labels.keypoint_weights.all()


@pytest.mark.parametrize("output", [{"loss": 1}, (torch.ones(2),), [PoseDataSample()]])
def test_other_outputs_are_left_alone(model, output):
    assert model(output, mode="loss") is output


def test_poses_of_another_number_of_points_are_left_alone(model):
    pointed = sample(keypoints=np.ones((1, 2, 2)), keypoint_scores=np.ones((1, 2)))
    (found,) = model([pointed])
    assert found.pred_instances.keypoint_scores.tolist() == [[1, 1]]
