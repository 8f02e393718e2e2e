"""Sigmoid focal loss through mmcv's public function, against the formula of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from mmcv.ops import sigmoid_focal_loss

CLASSES = 4


def problem(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, C) and classes (N,), of which the number C means "none of them"."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, CLASSES, dtype=torch.float64, generator=generator)
    return logits, torch.tensor([0, 3, 1, CLASSES, 2, CLASSES])


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.0, 0.5), (1.5, 0.9)])
def test_is_the_formula(gamma, alpha):
    logits, target = problem()
    expected = torch.zeros_like(logits)
    for row in range(len(logits)):
        for column in range(CLASSES):
            p = 1 / (1 + math.exp(-logits[row, column]))
            right, weight = (p, alpha) if target[row] == column else (1 - p, 1 - alpha)
            expected[row, column] = -weight * (1 - right) ** gamma * math.log(right)
    loss = sigmoid_focal_loss(logits, target, gamma, alpha, None, "none")
    torch.testing.assert_close(loss, expected)
    mean = sigmoid_focal_loss(logits, target, gamma, alpha, None, "mean")
    torch.testing.assert_close(mean, expected.sum() / len(logits))


def test_class_weight_scales_the_rows_of_its_class():
    logits, target = problem()
    target = target % CLASSES
    weight = torch.tensor([1.0, 2.0, 0.0, 0.5], dtype=torch.float64)
    plain = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
    weighted = sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, "none")
    torch.testing.assert_close(weighted, plain * weight[target][:, None])


def test_backward_is_the_derivative():
    logits, target = problem(1)
    assert torch.autograd.gradcheck(
        lambda logits: sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "sum"),
        (logits.requires_grad_(),),
    )


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    for target in (0, 1):
        loss = sigmoid_focal_loss(logits, torch.tensor([target]), 2.0, 0.25, None, "sum")
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()
