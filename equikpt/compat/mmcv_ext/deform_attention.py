"""Multi-scale deformable attention, by the plain torch version that mmcv itself ships.

mmcv takes that version on a CPU only; on a GPU it calls these. Shapes: value (B, S, HEADS, D),
sampling_locations (B, Q, HEADS, LEVELS, POINTS, 2) as fractions of a feature map, weights without
the last dimension, output (B, Q, HEADS * D). ``im2col_step`` only bounds the memory of mmcv's
kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """The attended values (B, Q, HEADS * D)."""
    # not at the top: that module of mmcv loads this one
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    return multi_scale_deformable_attn_pytorch(
        value, value_spatial_shapes, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Gradients, into the three tensors named so."""
    leaves = value, places, weights = tuple(
        tensor.detach().requires_grad_()
        for tensor in (value, sampling_locations, attention_weights)
    )
    with torch.enable_grad():
        output = ms_deform_attn_forward(
            value, value_spatial_shapes, value_level_start_index, places, weights, im2col_step
        )
        gradients = torch.autograd.grad(output, leaves, grad_output)
    for place, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        place.copy_(gradient)
