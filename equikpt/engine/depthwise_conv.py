"""Depthwise convolution whose gradients a CPU computes faster."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from equikpt.compat.strict_load import unwrap

REDUCED = (torch.bfloat16, torch.float16)

WIDEST = 3
"""Filter columns for which oneDNN's weight gradient is fast; five take seven times as long."""

Pair = tuple[int, int]


class _FasterGradients(Function):
    """A depthwise convolution in the dtype of its input; its gradients as below."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.geometry = (stride, padding, dilation)
        same = weight.to(features.dtype)
        return torch.conv2d(features, same, None, stride, padding, dilation, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        grad_features = grad_weight = None
        if ctx.needs_input_grad[0]:
            grad_features = _features_gradient(grad, features, weight, *ctx.geometry)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_gradient(grad, features, weight, *ctx.geometry)
        return grad_features, grad_weight, None, None, None


def _features_gradient(
    grad: Tensor, features: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """In the dtype of the features; strided in float32, which oneDNN does up to 50 times as fast.

    At stride 1 the transposed convolution is one with the mirrored filter, in half the time.
    """
    channels = weight.shape[0]
    rest = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True)]
    if features.dtype in REDUCED and stride == (1, 1) and min(rest) >= 0:
        mirrored = weight.to(grad.dtype).flip(2, 3)
        return torch.conv2d(grad, mirrored, None, stride, rest, dilation, channels)
    tensors = (grad.float(), features.float(), weight.float())
    found = torch.ops.aten.convolution_backward(
        *tensors, None, stride, padding, dilation, False, [0, 0], channels, [True, False, False]
    )[0]
    return found.to(features.dtype)


def _weight_gradient(
    grad: Tensor, features: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """In float32, ``WIDEST`` columns of the filter at a time."""
    channels, _, height, width = weight.shape
    layout = torch.channels_last
    grad = grad.to(torch.float32, memory_format=layout)
    padded = pad(features, (padding[1], padding[1])) if width > WIDEST else features
    column_padding = 0 if width > WIDEST else padding[1]
    parts = []
    for first in range(0, width, WIDEST):
        columns = min(WIDEST, width - first)
        seen = padded
        if width > WIDEST:
            begin = first * dilation[1]
            span = (grad.shape[3] - 1) * stride[1] + (columns - 1) * dilation[1] + 1
            seen = padded[..., begin : begin + span]
        tensors = (
            grad,
            seen.to(torch.float32, memory_format=layout),
            weight.new_empty((channels, 1, height, columns), dtype=torch.float32),
        )
        parts.append(
            torch.ops.aten.convolution_backward(
                *tensors, None, stride, (padding[0], column_padding), dilation, False, [0, 0],
                channels, [False, True, False],
            )[1]
        )  # fmt: skip
    return torch.cat(parts, dim=3)


class DepthwiseConv2d(nn.Conv2d):
    """``nn.Conv2d`` with one filter a channel, for training on a CPU.

    oneDNN is slow at some of its gradients: that of filters wider than 3, and in bfloat16 and
    float16 that of any such filter (which it rounds to 8 bits besides) and of strided features.
    Here filters get theirs in float32, three columns at a time, and strided features theirs in
    float32. The output, and everything on a GPU, is ``nn.Conv2d``'s own. Gradients of gradients
    are not supported on a CPU.
    """

    @classmethod
    def convert_depthwise_convs(cls, model: nn.Module) -> int:
        """Convert the plain depthwise convolutions of a model in place, and return their number.

        Parameters stay. Subclasses, and convolutions with a bias, are left as they are.
        """
        found = [
            module
            for module in model.modules()
            if type(module) is nn.Conv2d
            and 1 < module.groups == module.in_channels == module.out_channels
            and module.bias is None
            and module.padding_mode == "zeros"
            and isinstance(module.padding, tuple)
        ]
        for module in found:
            module.__class__ = cls
        return len(found)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.device.type != "cpu" or not torch.is_grad_enabled():
            return super()._conv_forward(input, weight, bias)
        if torch.is_autocast_enabled("cpu"):
            input = input.to(torch.get_autocast_dtype("cpu"))
        if input.dtype not in REDUCED and (
            input.dtype != torch.float32 or weight.shape[3] <= WIDEST
        ):
            return super()._conv_forward(input, weight, bias)
        return _FasterGradients.apply(input, weight, self.stride, self.padding, self.dilation)


@HOOKS.register_module()
class DepthwiseGradHook(Hook):
    """Train with :class:`DepthwiseConv2d`, whose gradients are faster on a CPU.

    Parameters, their names and checkpoints stay as they are; training on a GPU does not change.

    Args:
        enabled: Off with ``default_hooks.depthwise_grad.enabled=False``.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def before_train(self, runner: Runner) -> None:
        """Change the convolutions of the model that trains."""
        if not self.enabled:
            return
        count = DepthwiseConv2d.convert_depthwise_convs(unwrap(runner.model))
        if count:
            runner.logger.info(
                f"{count} depthwise convolutions compute their gradients in ways that suit a CPU"
            )
