import pytest
import torch

from equikpt.models.funnel_loss import FunnelLoss, funnel

BY_HAND = {  # distances, and funnels of them; the linear one is continuous at the threshold
    (0.1, "linear"): ([0, 0.05, 0.1, 0.2, 2], [0, 0.0025, 0.01, 0.03, 0.39]),
    (0.1, "published"): ([0, 0.05, 0.1, 0.2, 2], [0, 0.0025, 0.02, 0.03, 0.21]),
    (0.3, "linear"): ([0.2, 0.3, 1], [0.04, 0.09, 0.51]),
    (0.3, "published"): ([0.2, 0.3, 1], [0.04, 0.18, 0.39]),
}


@pytest.mark.parametrize(("threshold", "tail"), BY_HAND)
def test_funnel_by_hand(threshold, tail):
    distances, expected = BY_HAND[threshold, tail]
    found = funnel(torch.tensor(distances, dtype=torch.float64), threshold, tail)
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("threshold", [0.1, 0.3])
@pytest.mark.parametrize(("tail", "jump", "pull"), [("linear", 1, 1), ("published", 2, 0.5)])
def test_the_tangent_is_continuous_and_the_published_form_jumps(threshold, tail, jump, pull):
    """The latter pulls half as much beyond the threshold."""
    distance = torch.tensor([threshold - 1e-9, threshold + 1e-9], dtype=torch.float64)
    distance.requires_grad_()
    before, after = funnel(distance, threshold, tail)
    slope = torch.autograd.grad(before + after, distance)[0]
    assert after.item() == pytest.approx(jump * before.item(), rel=1e-6)
    assert slope[1].item() == pytest.approx(pull * slope[0].item(), rel=1e-6)


def test_twice_hubers_loss():
    distance = torch.linspace(0, 1, 101, dtype=torch.float64)
    expected = 2 * torch.nn.functional.huber_loss(
        distance, torch.zeros_like(distance), reduction="none", delta=0.1
    )
    torch.testing.assert_close(funnel(distance, 0.1, "linear"), expected)


def test_parts_of_x_and_y_sum_up_to_the_funnel_of_their_sum():
    predicted, target = torch.tensor([[0.03, -0.01]]), torch.tensor([[0.0, 0.0]])
    loss_x, loss_y = FunnelLoss(threshold=0.1)(predicted, target)
    assert (loss_x + loss_y).item() == pytest.approx(0.04**2)
    assert loss_x.item() == pytest.approx(3 * loss_y.item())
    torch.testing.assert_close(
        FunnelLoss(loss_weight=3.0)(predicted, target), 3 * torch.stack([loss_x, loss_y])
    )


@pytest.mark.parametrize("tail", ["linear", "published"])
def test_gradients_are_those_of_the_whole(tail):
    """The parts' sum is differentiated as the funnel of |Δx| + |Δy| is, on both sides."""
    generator = torch.Generator().manual_seed(0)
    predicted = torch.rand(20, 2, generator=generator, dtype=torch.float64) - 0.5
    predicted[:10] *= 0.05
    predicted.requires_grad_()
    loss = FunnelLoss(threshold=0.1, tail=tail)
    # the module computes in float32, as training does
    parts = loss(predicted, torch.zeros_like(predicted)).sum()
    whole = funnel(predicted.abs().sum(dim=-1), 0.1, tail).mean()
    found, expected = (torch.autograd.grad(part, predicted)[0] for part in (parts, whole))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_points_on_target_or_of_weight_0_have_no_gradient():
    predicted = torch.zeros(1, 2, requires_grad=True)
    FunnelLoss()(predicted, torch.zeros(1, 2)).sum().backward()
    assert predicted.grad.tolist() == [[0.0, 0.0]]
    predicted = torch.tensor([[0.05, 0.0], [9.0, 9.0]], requires_grad=True)
    loss = FunnelLoss()(predicted, torch.zeros(2, 2), torch.tensor([1.0, 0.0])).sum()
    loss.backward()
    assert loss.item() == pytest.approx(0.05**2)
    assert predicted.grad[1].tolist() == [0.0, 0.0]
    nothing = FunnelLoss()(predicted, torch.zeros(2, 2), torch.zeros(2))
    assert nothing.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("option", "value"), [("threshold", 0), ("tail", "square"), ("loss_weight", -1)]
)
def test_wrong_options_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"expected {option}"):
        FunnelLoss(**{option: value})
