import math

import pytest
import torch

from equikpt.models.spatial_softmax_loss import (
    SpatialSoftmaxLoss,
    mean_cell,
    soft_coordinates,
    spatial_divergence,
)


def one_cell(row, column, size=(6, 8)):
    heatmap = torch.zeros(1, 1, *size)
    heatmap[0, 0, row, column] = 1
    return heatmap


def test_the_divergence_of_the_target_itself_is_zero_and_of_a_flat_map_is_log_of_the_cells():
    target = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    assert spatial_divergence(target.log(), target).abs().max() < 1e-6
    flat = spatial_divergence(torch.zeros(1, 1, 6, 8), one_cell(2, 3))
    assert flat.item() == pytest.approx(math.log(48))


def test_its_gradient_is_that_of_the_cross_entropy():
    logits = torch.randn(4, 1, 6, 8, generator=torch.Generator().manual_seed(1))
    ours, torchs = (logits.clone().requires_grad_() for _ in range(2))
    spatial_divergence(ours, one_cell(2, 3).expand(4, -1, -1, -1)).sum().backward()
    torch.nn.functional.cross_entropy(
        torchs.flatten(1), torch.full((4,), 2 * 8 + 3), reduction="sum"
    ).backward()
    assert torch.allclose(ours.grad, torchs.grad, atol=1e-6)


def test_coords_are_x_then_y_between_cells():
    assert mean_cell(one_cell(2, 3)).tolist() == [[[3, 2]]]
    both = one_cell(2, 3) + one_cell(2, 4)
    assert mean_cell(both).tolist() == [[[3.5, 2]]]
    assert soft_coordinates(40 * both)[0, 0].tolist() == pytest.approx([3.5, 2], abs=1e-4)


def test_the_coordinate_term_is_a_smooth_l1_in_cells():
    logits, target = 60 * one_cell(1, 1), one_cell(1, 5)
    with_term, without = (
        SpatialSoftmaxLoss(coordinate_weight=weight)(logits, target) for weight in (0.5, 0)
    )
    assert (with_term - without).item() == pytest.approx(0.5 * (4 - 0.5), rel=1e-4)


def test_points_without_label_count_nothing_and_do_not_thin_the_mean():
    loss = SpatialSoftmaxLoss()
    logits = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(2))
    target = torch.cat([one_cell(2, 3), torch.zeros(1, 1, 6, 8)], dim=1)
    alone = loss(logits[:, :1], target[:, :1])
    assert loss(logits, target, torch.tensor([[1.0, 0]])).item() == pytest.approx(alone.item())
    nothing = logits.clone().requires_grad_()
    total = loss(nothing, torch.zeros_like(target), torch.zeros(1, 2))
    total.backward()
    assert total.item() == 0
    assert nothing.grad.abs().max() == 0


def test_weights_scale_the_labelled_points_unless_told_otherwise():
    logits = torch.zeros(1, 2, 6, 8)
    target = torch.cat([one_cell(2, 3), one_cell(4, 4)], dim=1)
    weights = torch.tensor([[1.0, 0.5]])
    by_weight = SpatialSoftmaxLoss(coordinate_weight=0)(logits, target, weights)
    evenly = SpatialSoftmaxLoss(coordinate_weight=0, use_target_weight=False)(
        logits, target, weights
    )
    assert by_weight.item() == pytest.approx(0.75 * math.log(48))
    assert evenly.item() == pytest.approx(math.log(48))


def test_bfloat16_logits_are_computed_in_float32():
    logits = 30 * one_cell(2, 3)
    loss = SpatialSoftmaxLoss()(logits.bfloat16(), one_cell(2, 3))
    assert loss.dtype == torch.float32
    assert loss.item() < 1e-3


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="coordinate_weight"):
        SpatialSoftmaxLoss(coordinate_weight=-1)
