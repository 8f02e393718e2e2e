from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

import equikpt.models.focal_l1_heatmap_loss  # noqa: F401
from equikpt.models.logit_heatmap_head import LogitHeatmapHead

CODEC = dict(type="MSRAHeatmap", input_size=(48, 64), heatmap_size=(12, 16), sigma=2.0)


@pytest.fixture
def build():
    init_default_scope("mmpose")

    def make(**options) -> LogitHeatmapHead:
        torch.manual_seed(0)
        settings = dict(
            in_channels=8, out_channels=2, deconv_out_channels=None, decoder=CODEC,
            loss=dict(type="FocalL1HeatmapLoss"),
        )  # fmt: skip
        head = LogitHeatmapHead(**settings | options)
        head.init_weights()
        return head

    return make


def features(seed: int = 0) -> tuple[torch.Tensor]:
    return (torch.randn(1, 8, 16, 12, generator=torch.Generator().manual_seed(seed)),)


def samples(head: LogitHeatmapHead) -> list[PoseDataSample]:
    encoded = head.decoder.encode(np.array([[[10.0, 20.0], [30.0, 41.0]]]))
    sample = PoseDataSample(metainfo=dict(flip_indices=[1, 0]))
    sample.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded["heatmaps"]))
    sample.gt_instance_labels = InstanceData(
        keypoint_weights=torch.from_numpy(encoded["keypoint_weights"])
    )
    return [sample]


def test_an_untrained_head_gives_every_cell_the_prior(build):
    head = build(prior=0.03)
    torch.testing.assert_close(
        head(features()).sigmoid(), torch.full((1, 2, 16, 12), 0.03), rtol=0.05, atol=0
    )


def test_the_sigmoid_is_applied_once(build):
    head = build()
    _, (field,) = head.predict(features(), samples(head), dict(output_heatmaps=True))
    torch.testing.assert_close(field.heatmaps, head(features())[0].sigmoid())
    (instance,) = head.predict(features(), samples(head))
    np.testing.assert_allclose(
        instance.keypoint_scores[0], field.heatmaps.flatten(1).max(-1).values.numpy(), rtol=1e-6
    )


def test_a_flip_test_averages_probabilities(build):
    head = build()
    pair = [features(), features(1)]
    _, (field,) = head.predict(
        pair, samples(head), dict(flip_test=True, flip_mode="heatmap", output_heatmaps=True)
    )
    plain, mirrored = (head(each).sigmoid() for each in pair)
    turned = mirrored.flip(-1)[:, [1, 0]]
    torch.testing.assert_close(field.heatmaps, ((plain + turned) / 2)[0])


def test_the_losses_are_logged_apart(build):
    head = build()
    losses = head.loss(features(), samples(head))
    assert losses.keys() == {"loss_focal", "loss_l1", "acc_pose"}
    (losses["loss_focal"] + losses["loss_l1"]).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    assert "acc_pose" not in head.loss(features(), samples(head), dict(compute_acc=False))


def test_a_loss_of_one_value_works_too(build):
    head = build(loss=dict(type="KeypointMSELoss", use_target_weight=True))
    assert head.loss(features(), samples(head)).keys() == {"loss_kpt", "acc_pose"}


@pytest.mark.parametrize("prior", [0, 1])
def test_a_prior_out_of_range_is_refused(build, prior):
    with pytest.raises(ValueError, match="prior above 0 and below 1"):
        build(prior=prior)
