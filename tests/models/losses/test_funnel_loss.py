from __future__ import annotations

import pytest
import torch

from equikpt.models.losses.funnel_loss import FunnelLoss, funnel


@pytest.mark.parametrize(
    ("threshold", "tail", "distance", "expected"),
    [
        (0.1, "linear", 0.0, 0.0),
        (0.1, "linear", 0.05, 0.0025),
        (0.1, "linear", 0.1, 0.01),  # 0.2 · 0.1 − 0.01: continuous
        (0.1, "linear", 0.2, 0.03),
        (0.1, "linear", 2.0, 0.39),
        (0.1, "published", 0.05, 0.0025),
        (0.1, "published", 0.1, 0.02),  # the jump
        (0.1, "published", 0.2, 0.03),
        (0.1, "published", 2.0, 0.21),
        (0.3, "linear", 0.2, 0.04),
        (0.3, "linear", 0.3, 0.09),
        (0.3, "linear", 1.0, 0.51),
        (0.3, "published", 0.2, 0.04),
        (0.3, "published", 0.3, 0.18),
        (0.3, "published", 1.0, 0.39),
    ],
)
def test_funnel_by_hand(threshold, tail, distance, expected):
    found = funnel(torch.tensor([distance], dtype=torch.float64), threshold, tail)
    assert found.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_the_tangent_form_is_continuous_with_its_slope(threshold):
    distance = torch.tensor([threshold - 1e-9, threshold + 1e-9], dtype=torch.float64)
    distance.requires_grad_()
    value = funnel(distance, threshold, "linear")
    slope = torch.autograd.grad(value.sum(), distance)[0]
    assert value[0].item() == pytest.approx(value[1].item(), abs=1e-8)
    assert slope[0].item() == pytest.approx(slope[1].item(), abs=1e-8)


@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_the_published_form_jumps_and_pulls_half_as_much(threshold):
    distance = torch.tensor([threshold - 1e-9, threshold + 1e-9], dtype=torch.float64)
    distance.requires_grad_()
    value = funnel(distance, threshold, "published")
    slope = torch.autograd.grad(value.sum(), distance)[0]
    assert value[1].item() == pytest.approx(2 * value[0].item(), rel=1e-6)
    assert slope[1].item() == pytest.approx(slope[0].item() / 2, rel=1e-6)


def test_twice_hubers_loss():
    distance = torch.linspace(0, 1, 101, dtype=torch.float64)
    expected = 2 * torch.nn.functional.huber_loss(
        distance, torch.zeros_like(distance), reduction="none", delta=0.1
    )
    torch.testing.assert_close(funnel(distance, 0.1, "linear"), expected)


def test_shares_of_x_and_y_sum_up_to_the_funnel_of_their_sum():
    predicted, target = torch.tensor([[0.03, -0.01]]), torch.tensor([[0.0, 0.0]])
    share_x, share_y = FunnelLoss(threshold=0.1)(predicted, target)
    assert (share_x + share_y).item() == pytest.approx(0.04**2)
    assert share_x.item() == pytest.approx(3 * share_y.item())


@pytest.mark.parametrize("tail", ["linear", "published"])
def test_gradients_are_those_of_the_whole(tail):
    """The shares' sum is differentiated as the funnel of |Δx| + |Δy| is, on both sides."""
    generator = torch.Generator().manual_seed(0)
    predicted = torch.rand(20, 2, generator=generator, dtype=torch.float64) - 0.5
    predicted[:10] *= 0.05
    predicted.requires_grad_()
    loss = FunnelLoss(threshold=0.1, tail=tail)
    # the module computes in float32, as training does
    shares = loss(predicted, torch.zeros_like(predicted)).sum()
    whole = funnel(predicted.abs().sum(dim=-1), 0.1, tail).mean()
    found, expected = (torch.autograd.grad(part, predicted)[0] for part in (shares, whole))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_a_point_on_its_target_has_no_gradient():
    predicted = torch.zeros(1, 2, requires_grad=True)
    FunnelLoss()(predicted, torch.zeros(1, 2)).sum().backward()
    assert predicted.grad.tolist() == [[0.0, 0.0]]


def test_points_of_weight_0_do_not_count():
    predicted = torch.tensor([[0.05, 0.0], [9.0, 9.0]], requires_grad=True)
    loss = FunnelLoss()(predicted, torch.zeros(2, 2), torch.tensor([1.0, 0.0])).sum()
    loss.backward()
    assert loss.item() == pytest.approx(0.05**2)
    assert predicted.grad[1].tolist() == [0.0, 0.0]
    nothing = FunnelLoss()(predicted, torch.zeros(2, 2), torch.zeros(2))
    assert nothing.tolist() == [0.0, 0.0]


def test_loss_weight_is_a_factor():
    predicted = torch.tensor([[0.5, 0.2]])
    plain, tripled = (
        FunnelLoss(loss_weight=weight)(predicted, torch.zeros(1, 2)) for weight in (1.0, 3.0)
    )
    torch.testing.assert_close(tripled, 3 * plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(threshold=0), "threshold above 0"),
        (dict(tail="square"), "linear, published"),
        (dict(loss_weight=-1), "loss_weight of at least 0"),
    ],
)
def test_wrong_options_say_what_is_right(options, message):
    with pytest.raises(ValueError, match=message):
        FunnelLoss(**options)
