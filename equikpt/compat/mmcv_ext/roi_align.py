"""RoIAlign: torchvision's for averages, plain torch for maxima, which torchvision lacks.

Shapes: feature maps (B, C, H, W), regions (R, 5) as (batch index, x1, y1, x2, y2) in px of the
input, of which ``spatial_scale`` makes cells of the feature map; pooled (R, C, PH, PW).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision import ops

MAX, AVG = range(2)
"""How mmcv numbers the pool modes."""


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool regions into ``output`` (R, C, PH, PW).

    For maxima, ``argmax_y`` and ``argmax_x`` (as ``output``) receive the places of the winning
    samples in cells, -1 where a region has no samples. mmcv's CPU and CUDA code disagree on the
    value of such a bin (-10000, or the lowest float); here it is 0, as for averages.
    """
    size = (aligned_height, aligned_width)
    if pool_mode == AVG:
        output.copy_(_average(input, rois, size, spatial_scale, sampling_ratio, aligned))
        return
    output.zero_()
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    for index, roi in enumerate(rois.to(input.dtype)):
        y, x = _sample_places(roi[1:], size, spatial_scale, sampling_ratio, aligned)
        if len(y) and len(x):
            pooled = _maximum(input[int(roi[0])], y, x, size)
            output[index], argmax_y[index], argmax_x[index] = pooled


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient with respect to the feature maps, written into ``grad_input`` (B, C, H, W)."""
    # pooling is linear in the features once the places are fixed, so any features will do
    features = torch.zeros_like(grad_input, requires_grad=True)
    with torch.enable_grad():
        if pool_mode == AVG:
            size = (aligned_height, aligned_width)
            pooled = _average(features, rois, size, spatial_scale, sampling_ratio, aligned)
        else:
            planes = features[rois[:, 0].long()]
            places = (argmax_y.flatten(2), argmax_x.flatten(2))
            pooled = _bilinear(planes, *places).view_as(grad_output)
            pooled = pooled * (argmax_y != -1)
        (gradient,) = torch.autograd.grad(pooled, features, grad_output)
    grad_input.copy_(gradient)


def _average(
    features: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    return ops.roi_align(
        features, rois.to(features.dtype), size, spatial_scale, sampling_ratio, aligned
    )


def _sample_places(
    box: Tensor, size: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor]:
    """Rows and columns of the samples of one region, in cells, bin after bin.

    Args:
        box: (4,), x1, y1, x2, y2 in px of the input.
        size: Bins (PH, PW).
        spatial_scale: Cells per px.
        sampling_ratio: Samples a side of a bin; 0 takes one a cell.
        aligned: Whether cell centres lie at half-integer coordinates.
    """
    shift = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (box * spatial_scale - shift).unbind()
    places = []
    for start, end, bins in ((y1, y2, size[0]), (x1, x2, size[1])):
        length = end - start if aligned else (end - start).clamp(min=1.0)
        samples = sampling_ratio if sampling_ratio > 0 else math.ceil(float(length / bins))
        steps = torch.arange(bins * samples, device=box.device, dtype=box.dtype)
        places.append(start + (steps + 0.5) * (length / (bins * max(samples, 1))))
    return places[0], places[1]


def _maximum(
    plane: Tensor, y: Tensor, x: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Largest sample of each bin, its row and its column, each (C, PH, PW).

    Args:
        plane: (C, H, W).
        y: (PH * SY,) rows of the samples in cells.
        x: (PW * SX,) columns.
        size: Bins (PH, PW).
    """
    height, width = size
    rows, columns = (grid.flatten() for grid in torch.meshgrid(y, x, indexing="ij"))
    samples = _bilinear(plane, rows.expand(len(plane), -1), columns.expand(len(plane), -1))
    per_row, per_column = len(y) // height, len(x) // width
    bins = samples.view(-1, height, per_row, width, per_column).transpose(2, 3).flatten(3)
    value, winner = bins.max(dim=-1)
    row = torch.arange(height, device=y.device)[:, None] * per_row + winner // per_column
    column = torch.arange(width, device=x.device) * per_column + winner % per_column
    return value, y[row], x[column]


def _bilinear(planes: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Values of ``planes`` (..., H, W) at rows ``y`` and columns ``x``, each (..., P), in cells.

    As in Detectron2, from which mmcv has its RoIAlign: zero from one cell beyond the border on,
    and the border's own value in between.
    """
    height, width = planes.shape[-2:]
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, along = y - top, x - left
    cells = planes.flatten(-2)
    value = (
        cells.gather(-1, top * width + left) * (1 - down) * (1 - along)
        + cells.gather(-1, top * width + right) * (1 - down) * along
        + cells.gather(-1, bottom * width + left) * down * (1 - along)
        + cells.gather(-1, bottom * width + right) * down * along
    )
    return value * inside
