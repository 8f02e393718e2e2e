import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

import equikpt.codecs
import equikpt.models.focal_l1_heatmap_loss  # noqa: F401
from equikpt.models.logit_heatmap_head import LogitHeatmapHead, MultiPeakHead

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


def test_the_losses_are_logged_apart_or_as_one(build):
    head = build()
    losses = head.loss(features(), samples(head))
    assert losses.keys() == {"loss_focal", "loss_l1", "acc_pose"}
    (losses["loss_focal"] + losses["loss_l1"]).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.parameters())
    assert "acc_pose" not in head.loss(features(), samples(head), dict(compute_acc=False))
    head = build(loss=dict(type="KeypointMSELoss", use_target_weight=True))
    assert head.loss(features(), samples(head)).keys() == {"loss_kpt", "acc_pose"}


@pytest.mark.parametrize("prior", [0, 1])
def test_a_prior_out_of_range_is_refused(build, prior):
    with pytest.raises(ValueError, match="prior above 0 and below 1"):
        build(prior=prior)


# --- whole images

PEAKS_CODEC = dict(type="MultiPeakHeatmap", input_size=(96, 64), heatmap_size=(24, 16), sigma=1.5)
POINTS = np.array([[(20.0, 20.0), (60, 40)], [(70, 30), (0, 0)]])
LABELLED = np.array([[1, 1], [1, 0]])


@pytest.fixture
def peak_head() -> MultiPeakHead:
    """A head that hands its two input channels on as logits."""
    init_default_scope("mmpose")
    head = MultiPeakHead(
        in_channels=2, out_channels=2, deconv_out_channels=None, decoder=PEAKS_CODEC,
        loss=dict(type="FocalL1HeatmapLoss"),
    )  # fmt: skip
    torch.nn.init.zeros_(head.final_layer.bias)
    with torch.no_grad():
        head.final_layer.weight.copy_(torch.eye(2)[:, :, None, None])
    return head


def target(head: MultiPeakHead) -> torch.Tensor:
    return torch.from_numpy(head.decoder.encode(POINTS, LABELLED)["heatmaps"])


def peaks_sample(head: MultiPeakHead, mask: torch.Tensor | None = None) -> PoseDataSample:
    made = PoseDataSample(metainfo=dict(flip_indices=[1, 0]))
    made.gt_fields = PixelData(heatmaps=target(head))
    if mask is not None:
        made.gt_fields.heatmap_mask = mask
    made.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 2))
    return made


def logits(head: MultiPeakHead) -> torch.Tensor:
    return torch.logit(target(head).clamp(1e-6, 1 - 1e-6))[None]


def test_every_peak_is_a_point_with_its_type(peak_head):
    head = peak_head
    (found,) = head.predict((logits(head),), [peaks_sample(head)])
    assert found.keypoints.shape == (3, 1, 2)
    assert found.keypoint_scores.shape == (3, 1)
    coords = {
        label: sorted(found.keypoints[found.labels == label, 0].round(1).tolist())
        for label in (0, 1)
    }
    assert coords == {0: [[20, 20], [70, 30]], 1: [[60, 40]]}


def test_a_flip_test_needs_both_views_to_agree(peak_head):
    """The mirror image of an empty image halves every score."""
    head = peak_head
    empty = torch.full_like(logits(head), -30)
    pair = [(logits(head),), (empty,)]
    config = dict(flip_test=True, output_heatmaps=True)
    (found,), (field,) = head.predict(pair, [peaks_sample(head)], config)
    assert found.keypoint_scores.max() < 0.5
    torch.testing.assert_close(field.heatmaps, target(head) / 2, atol=1e-4, rtol=0)


def test_masked_cells_teach_nothing(peak_head):
    head = peak_head
    mask = torch.ones(1, 16, 24, dtype=torch.bool)
    mask[..., 12:] = False
    features = torch.zeros(1, 2, 16, 24, requires_grad=True)
    losses = head.loss((features,), [peaks_sample(head, mask)], dict(compute_acc=False))
    (losses["loss_focal"] + losses["loss_l1"]).backward()
    assert (features.grad[..., 12:] == 0).all()
    assert (features.grad[..., :12] != 0).any()
    whole = head.loss((features,), [peaks_sample(head)], dict(compute_acc=False))
    assert not torch.allclose(whole["loss_focal"], losses["loss_focal"])
