from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

import equikpt.codecs
import equikpt.models.focal_l1_heatmap_loss  # noqa: F401
from equikpt.models.logit_heatmap_head import MultiPeakHead

CODEC = dict(type="MultiPeakHeatmap", input_size=(96, 64), heatmap_size=(24, 16), sigma=1.5)
POINTS = np.array([[(20.0, 20.0), (60, 40)], [(70, 30), (0, 0)]])
LABELLED = np.array([[1, 1], [1, 0]])


@pytest.fixture
def head() -> MultiPeakHead:
    """A head that hands its two input channels on as logits."""
    init_default_scope("mmpose")
    head = MultiPeakHead(
        in_channels=2, out_channels=2, deconv_out_channels=None, decoder=CODEC,
        loss=dict(type="FocalL1HeatmapLoss"),
    )  # fmt: skip
    torch.nn.init.zeros_(head.final_layer.bias)
    with torch.no_grad():
        head.final_layer.weight.copy_(torch.eye(2)[:, :, None, None])
    return head


def target(head: MultiPeakHead) -> torch.Tensor:
    return torch.from_numpy(head.decoder.encode(POINTS, LABELLED)["heatmaps"])


def sample(head: MultiPeakHead, mask: torch.Tensor | None = None) -> PoseDataSample:
    made = PoseDataSample(metainfo=dict(flip_indices=[1, 0]))
    made.gt_fields = PixelData(heatmaps=target(head))
    if mask is not None:
        made.gt_fields.heatmap_mask = mask
    made.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 2))
    return made


def logits(head: MultiPeakHead) -> torch.Tensor:
    return torch.logit(target(head).clamp(1e-6, 1 - 1e-6))[None]


def test_every_peak_is_a_point_with_its_type(head):
    (found,) = head.predict((logits(head),), [sample(head)])
    assert found.keypoints.shape == (3, 1, 2)
    assert found.keypoint_scores.shape == (3, 1)
    places = {
        label: sorted(found.keypoints[found.labels == label, 0].round(1).tolist())
        for label in (0, 1)
    }
    assert places == {0: [[20, 20], [70, 30]], 1: [[60, 40]]}


def test_a_flip_test_needs_both_looks_to_agree(head):
    """The mirror image of an empty image halves every score."""
    empty = torch.full_like(logits(head), -30)
    pair = [(logits(head),), (empty,)]
    config = dict(flip_test=True, output_heatmaps=True)
    (found,), (field,) = head.predict(pair, [sample(head)], config)
    assert found.keypoint_scores.max() < 0.5
    torch.testing.assert_close(field.heatmaps, target(head) / 2, atol=1e-4, rtol=0)


def test_masked_cells_teach_nothing(head):
    mask = torch.ones(1, 16, 24, dtype=torch.bool)
    mask[..., 12:] = False
    features = torch.zeros(1, 2, 16, 24, requires_grad=True)
    losses = head.loss((features,), [sample(head, mask)], dict(compute_acc=False))
    (losses["loss_focal"] + losses["loss_l1"]).backward()
    assert (features.grad[..., 12:] == 0).all()
    assert (features.grad[..., :12] != 0).any()
    whole = head.loss((features,), [sample(head)], dict(compute_acc=False))
    assert not torch.allclose(whole["loss_focal"], losses["loss_focal"])
