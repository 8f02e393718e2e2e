import numpy as np
import pytest
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from torch.nn.functional import binary_cross_entropy_with_logits

from equikpt.models.focal_l1_heatmap_loss import (
    FocalL1HeatmapLoss,
    mean_over_mass,
    soft_focal_loss,
)

INPUT_PX = (64, 64)
CELLS = (16, 16)
CODECS = {
    "msra": MSRAHeatmap(INPUT_PX, CELLS, sigma=1.5),
    "unbiased": MSRAHeatmap(INPUT_PX, CELLS, sigma=1.5, unbiased=True),
    "udp": UDPHeatmap(INPUT_PX, CELLS, sigma=1.5),
}
POINTS = np.array([[[20.3, 41.9], [33.1, 9.7], [5.0, 57.2]]], np.float32)


def targets(codec: str = "udp") -> torch.Tensor:
    """(1, 3, 16, 16) of points between cells."""
    return torch.from_numpy(CODECS[codec].encode(POINTS)["heatmaps"])[None].float()


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def total(losses: dict) -> torch.Tensor:
    return losses["loss_focal"] + losses["loss_l1"]


def test_without_focus_it_is_binary_cross_entropy():
    logits, target = 3 * random_logits(2, 3, 5, 7), random_logits(2, 3, 5, 7, seed=1).sigmoid()
    torch.testing.assert_close(
        soft_focal_loss(logits, target, alpha=None, gamma=0),
        binary_cross_entropy_with_logits(logits, target, reduction="none"),
    )


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_for_hard_targets_it_is_the_focal_loss_of_the_paper(alpha):
    logits = random_logits(50)
    target = (random_logits(50, seed=1) > 0).float()
    right = torch.where(target == 1, logits.sigmoid(), 1 - logits.sigmoid())
    weight = 1.0 if alpha is None else torch.where(target == 1, alpha, 1 - alpha)
    expected = -weight * (1 - right) ** 2 * right.log()
    torch.testing.assert_close(soft_focal_loss(logits, target, alpha, 2.0), expected)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_value_and_gradient_are_those_of_the_formula(gamma):
    logits, target = random_logits(4, 5).double(), random_logits(4, 5, seed=1).sigmoid().double()
    p = logits.sigmoid()
    entropy = -(0.25 * target * p.log() + 0.75 * (1 - target) * (1 - p).log())
    by_hand = (target - p).abs() ** gamma * entropy
    torch.testing.assert_close(soft_focal_loss(logits, target, 0.25, gamma), by_hand)
    assert torch.autograd.gradcheck(
        lambda x: soft_focal_loss(x, target, 0.25, gamma), logits.requires_grad_()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [100.0, -100.0])
def test_extreme_logits_stay_finite(dtype, value):
    logits = torch.full((1, 3, 16, 16), value, dtype=dtype, requires_grad=True)
    losses = FocalL1HeatmapLoss()(logits, targets())
    total(losses).backward()
    assert torch.isfinite(total(losses))
    assert total(losses) > 0
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("codec", CODECS)
def test_every_point_pulls_its_cell_up(codec):
    """Also where no cell of the target is 1, as with points between cells."""
    target = targets(codec)
    if codec != "msra":
        assert target.max() < 1
    logits = torch.full_like(target, -4.6, requires_grad=True)
    total(FocalL1HeatmapLoss()(logits, target)).backward()
    peaks = target.flatten(2).argmax(-1)
    assert (logits.grad.flatten(2).gather(-1, peaks[..., None]) < 0).all()
    assert (logits.grad[target < 1e-3] >= 0).all()


@pytest.mark.parametrize("codec", CODECS)
def test_plain_gradient_descent_finds_the_target(codec):
    target = targets(codec)
    logits = torch.full_like(target, -4.6, requires_grad=True)
    module, before = FocalL1HeatmapLoss(), None
    for _ in range(600):
        loss = total(module(logits, target))
        before = loss if before is None else before
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 20 * gradient).detach().requires_grad_()
    assert loss < 0.1 * before
    assert torch.equal(logits.flatten(2).argmax(-1), target.flatten(2).argmax(-1))
    assert (logits.sigmoid() - target).abs().max() < 0.25


def test_at_the_target_itself_it_is_zero():
    target = targets().clamp(1e-4, 1 - 1e-4)
    losses = FocalL1HeatmapLoss()(torch.logit(target), target)
    assert losses["loss_focal"] < 1e-9
    assert losses["loss_l1"] < 1e-6
    further = FocalL1HeatmapLoss()(torch.logit(target) + 0.5, target)
    assert further["loss_focal"] > 1e-4


def test_what_does_not_count_is_as_if_it_were_not_there():
    logits, target = random_logits(1, 3, 16, 16).requires_grad_(), targets()
    losses = FocalL1HeatmapLoss()(logits, target, torch.tensor([[1.0, 0.0, 1.0]]))
    total(losses).backward()
    without = FocalL1HeatmapLoss()(logits[:, [0, 2]], target[:, [0, 2]])
    torch.testing.assert_close(losses, without)
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, 0] != 0).any()
    logits, target = random_logits(1, 3, 16, 16).requires_grad_(), targets()
    mask = torch.ones(1, 1, 16, 16)
    mask[..., 12:] = 0
    losses = FocalL1HeatmapLoss()(logits, target, mask=mask)
    total(losses).backward()
    torch.testing.assert_close(losses, FocalL1HeatmapLoss()(logits[..., :12], target[..., :12]))
    assert (logits.grad[..., 12:] == 0).all()


def test_neither_the_number_of_points_nor_the_size_of_the_heatmap_changes_the_value():
    logits, target = random_logits(1, 3, 16, 16), targets()
    one = FocalL1HeatmapLoss()(logits[:, :1], target[:, :1])
    many = FocalL1HeatmapLoss()(logits[:, :1].repeat(4, 5, 1, 1), target[:, :1].repeat(4, 5, 1, 1))
    torch.testing.assert_close(one, many)

    # The same image in twice as many cells either way, and the same with background around.
    def value(cells: int, sigma: float) -> torch.Tensor:
        line = torch.exp(-((torch.arange(cells) - (cells - 1) / 2) ** 2) / (2 * sigma**2))
        target = (line[:, None] * line)[None, None]
        return total(FocalL1HeatmapLoss()(torch.logit((0.5 * target).clamp_min(1e-7)), target))

    for other in (value(64, 6.0), value(64, 3.0)):
        torch.testing.assert_close(other, value(32, 3.0), rtol=1e-3, atol=0)


def test_weights_of_keypoints_can_be_left_out():
    logits, target = random_logits(1, 3, 16, 16), targets()
    weights = torch.tensor([[2.0, 0.0, 0.5]])
    plain = FocalL1HeatmapLoss(use_target_weight=False)(logits, target, weights)
    torch.testing.assert_close(plain, FocalL1HeatmapLoss()(logits, target, (weights > 0).float()))
    assert not torch.allclose(
        plain["loss_focal"], FocalL1HeatmapLoss()(logits, target, weights)["loss_focal"]
    )


def test_a_batch_without_labels_costs_nothing_and_background_is_taught():
    logits = random_logits(1, 3, 16, 16).requires_grad_()
    losses = FocalL1HeatmapLoss()(logits, torch.zeros(1, 3, 16, 16), torch.zeros(1, 3))
    total(losses).backward()
    assert total(losses) == 0
    assert (logits.grad == 0).all()
    each, nothing = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    assert mean_over_mass(each, nothing, torch.ones(1, 1, 1, 1)) == 4


@pytest.mark.parametrize(
    ("option", "value"), [("alpha", 1.5), ("gamma", -1), ("l1_weight", -1), ("loss_weight", -1)]
)
def test_options_out_of_range_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"expected {option}"):
        FocalL1HeatmapLoss(**{option: value})


def test_heatmaps_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 3, 16, 16\), got \(1, 3, 8, 8\)"):
        FocalL1HeatmapLoss()(torch.zeros(1, 3, 8, 8), targets())
