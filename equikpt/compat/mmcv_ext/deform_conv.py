"""Deformable convolution, versions 1 and 2, by torchvision's ``deform_conv2d``.

Shapes: input (B, C, H, W), weight (C_out, C / group, KH, KW), offset (B, 2 * G * KH * KW, OH, OW)
as (dy, dx) in cells for each place of the kernel and each of G offset groups, mask
(B, G * KH * KW, OH, OW), output (B, C_out, OH, OW). mmcv and torchvision order offsets alike.
``columns``, ``ones`` and ``im2col_step`` are scratch space of mmcv's kernels and are left alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import ops


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **geometry: int,
) -> None:
    """Convolution without mask, into ``output``. ``geometry`` is read by :func:`_version_1`."""
    output.copy_(ops.deform_conv2d(input, offset, weight, **_version_1(geometry)))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry: int,
) -> None:
    """Gradients of input and offset, into ``gradInput`` and ``gradOffset``."""
    input, offset = _leaves(input, offset)
    with torch.enable_grad():
        output = ops.deform_conv2d(input, offset, weight, **_version_1(geometry))
        gradients = torch.autograd.grad(output, (input, offset), gradOutput)
    gradInput.copy_(gradients[0])
    gradOffset.copy_(gradients[1])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **geometry: int,
) -> None:
    """Gradient of the weight, ``scale`` times, added to ``gradWeight``."""
    (weight,) = _leaves(gradWeight)  # the output is linear in it: its value does not matter
    with torch.enable_grad():
        output = ops.deform_conv2d(input, offset, weight, **_version_1(geometry))
        (gradient,) = torch.autograd.grad(output, weight, gradOutput)
    gradWeight.add_(gradient, alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """Convolution with mask, into ``output``. ``geometry`` is read by :func:`_version_2`."""
    bias_or_none = bias if with_bias else None
    output.copy_(
        ops.deform_conv2d(input, offset, weight, bias_or_none, mask=mask, **_version_2(geometry))
    )


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """All gradients, added to the tensors that come zeroed from mmcv."""
    leaves = input, offset, mask, weight = _leaves(input, offset, mask, weight)
    with torch.enable_grad():
        output = ops.deform_conv2d(input, offset, weight, mask=mask, **_version_2(geometry))
        gradients = torch.autograd.grad(output, leaves, grad_output)
    for total, gradient in zip(
        (grad_input, grad_offset, grad_mask, grad_weight), gradients, strict=True
    ):
        total.add_(gradient)
    if with_bias:
        grad_bias.add_(grad_output.sum(dim=(0, 2, 3)))


def _leaves(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The same values, outside of any graph, ready to be differentiated by."""
    return tuple(tensor.detach().requires_grad_() for tensor in tensors)


def _version_1(geometry: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Arguments of torchvision from the names that version 1 gives them."""
    return {
        "stride": (geometry["dH"], geometry["dW"]),
        "padding": (geometry["padH"], geometry["padW"]),
        "dilation": (geometry["dilationH"], geometry["dilationW"]),
    }


def _version_2(geometry: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Arguments of torchvision from the names that version 2 gives them."""
    return {
        "stride": (geometry["stride_h"], geometry["stride_w"]),
        "padding": (geometry["pad_h"], geometry["pad_w"]),
        "dilation": (geometry["dilation_h"], geometry["dilation_w"]),
    }
