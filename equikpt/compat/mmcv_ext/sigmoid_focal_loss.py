"""Sigmoid focal loss (https://arxiv.org/abs/1708.02002) in plain torch.

torchvision's function of the name wants one-hot targets and knows no class weights, so its
result would differ from mmcv's. Shapes: logits (N, C), target (N,) class indices, weight (C,) or
empty.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Loss of each logit, into ``output`` (N, C)."""
    output.copy_(_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Gradient of the sum of the losses, into ``grad_input`` (N, C)."""
    logits = input.detach().requires_grad_()
    with torch.enable_grad():
        loss = _loss(logits, target, weight, gamma, alpha)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
    grad_input.copy_(gradient)


def _loss(logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    classes = torch.arange(logits.shape[1], device=logits.device)
    positive = target[:, None] == classes
    # the probability of the wrong answer, as a logit
    wrong = torch.where(positive, -logits, logits)
    scale = torch.where(positive, alpha, 1 - alpha)
    loss = -scale * wrong.sigmoid().pow(gamma) * logsigmoid(-wrong)
    return loss * weight[target][:, None] if weight.numel() else loss
