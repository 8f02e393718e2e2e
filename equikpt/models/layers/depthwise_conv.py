"""Depthwise convolution whose weights get their gradient in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

REDUCED = (torch.bfloat16, torch.float16)


class _Float32WeightGrad(Function):
    """Convolution in the dtype of the input; the gradient of the weights alone in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.geometry = (stride, padding, dilation)
        same = weight.to(features.dtype)
        return torch.conv2d(features, same, None, stride, padding, dilation, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        channels = weight.shape[0]

        def gradients(dtype: torch.dtype, wanted: list[bool]) -> tuple[Tensor | None, ...]:
            tensors = (grad.to(dtype), features.to(dtype), weight.to(dtype))
            return torch.ops.aten.convolution_backward(
                *tensors, None, stride, padding, dilation, False, [0, 0], channels, wanted
            )

        # At stride 1 the transposed convolution is one with the mirrored filter, in half the time.
        rest = [
            d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True)
        ]
        grad_features = grad_weight = None
        if ctx.needs_input_grad[0] and stride == (1, 1) and min(rest) >= 0:
            mirrored = weight.to(features.dtype).flip(2, 3)
            grad_features = torch.conv2d(grad, mirrored, None, stride, rest, dilation, channels)
        elif ctx.needs_input_grad[0]:
            grad_features = gradients(features.dtype, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            grad_weight = gradients(torch.float32, [False, True, False])[1]
        return grad_features, grad_weight, None, None, None


class DepthwiseConv2d(nn.Conv2d):
    """``nn.Conv2d`` with one filter a channel, trained in half precision on a CPU.

    Where activations are bfloat16 or float16, oneDNN takes about three times as long for the
    gradient of a 5 × 5 depthwise filter as in float32, casts included, and rounds it to 8 bits
    besides. Here that one gradient is computed in float32. Everything else, float32 training and a
    GPU among it, is ``nn.Conv2d``'s own.

    A convolution becomes one in place, with the same parameters, by :meth:`adopt`.
    """

    @classmethod
    def fits(cls, module: nn.Module) -> bool:
        """Whether a module is a plain depthwise convolution: not a subclass, no bias."""
        return (
            type(module) is nn.Conv2d
            and 1 < module.groups == module.in_channels == module.out_channels
            and module.bias is None
            and module.padding_mode == "zeros"
            and isinstance(module.padding, tuple)
        )

    @classmethod
    def adopt(cls, model: nn.Module) -> int:
        """Change every convolution of a model that fits, parameters untouched.

        Args:
            model: Any module.

        Returns:
            How many there were.
        """
        found = [module for module in model.modules() if cls.fits(module)]
        for module in found:
            module.__class__ = cls
        return len(found)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            input = input.to(torch.get_autocast_dtype("cpu"))
        if input.device.type != "cpu" or input.dtype not in REDUCED:
            return super()._conv_forward(input, weight, bias)
        return _Float32WeightGrad.apply(input, weight, self.stride, self.padding, self.dilation)
