"""Targets that a teacher's output on one view of an image makes for a student on another view.

Letters: B images, K keypoints, W columns, H rows of a map, or bins of a SimCC vector. An affine map
``matrix`` (B, 2, 3) leads from px of the teacher's view to px of the student's; both views have the
same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from torch import Tensor
from torch.nn.functional import grid_sample

GRID_FACTOR = 8
"""Length of the grid on which vectors are convolved, as a multiple of the longer one."""
MIN_MASS = 1e-8


def is_mirrored(matrix: Tensor) -> Tensor:
    """(B,) bool: maps that exchange left and right."""
    return torch.linalg.det(matrix[:, :, :2]) < 0


def swap_mirrored(each: Tensor, matrix: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """Give the keypoints (B, K, …) of mirrored images the rows of their other sides."""
    swapped = each[:, list(flip_indices)]
    return torch.where(is_mirrored(matrix).view(-1, *[1] * (each.ndim - 1)), swapped, each)


def warp_points(points: Tensor, matrix: Tensor) -> Tensor:
    """(B, K, 2) px of the student's view, of px of the teacher's."""
    return points @ matrix[:, :, :2].transpose(1, 2) + matrix[:, None, :, 2]


def warp_heatmaps(heatmaps: Tensor, matrix: Tensor, px_per_cell: Tensor) -> Tensor:
    """(B, K, H, W): heatmaps in the student's view, 0 where the teacher's view ends.

    Sampling is bicubic, for linear interpolation lowers peaks between cells, which over many steps
    would melt them. Keypoints keep their rows (:func:`swap_mirrored`).

    Args:
        heatmaps: (B, K, H, W), 0 where there is nothing.
        matrix: (B, 2, 3).
        px_per_cell: (2,) in x and y; cell 0 lies at px 0.
    """
    height, width = heatmaps.shape[-2:]
    linear = matrix[:, :, :2] * px_per_cell / px_per_cell[:, None]  # in cells
    inverse = torch.linalg.inv(linear)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=matrix.device, dtype=matrix.dtype),
        torch.arange(width, device=matrix.device, dtype=matrix.dtype),
        indexing="ij",
    )
    cells = torch.stack([columns, rows], dim=-1).view(1, -1, 2)
    source = (cells - (matrix[:, :, 2] / px_per_cell)[:, None]) @ inverse.transpose(1, 2)
    half = source.new_tensor([width - 1, height - 1]) / 2
    grid = (source / half - 1).view(len(matrix), height, width, 2)
    return grid_sample(heatmaps, grid, mode="bicubic", align_corners=True).clamp(min=0)


def warp_simcc(
    along_x: Tensor, along_y: Tensor, matrix: Tensor, bins_per_px: float
) -> tuple[Tensor, Tensor]:
    """Distributions (B, K, W) and (B, K, H) of the coordinates in the student's view.

    The teacher's coordinates are independent of each other, so that of x' = a x + b y + t is the
    convolution of those of a x and of b y: exact for rotations as well. Mass outside the view is
    lost, and the rest is scaled to 1, or 0 where there is none.

    Args:
        along_x: (B, K, W) probabilities.
        along_y: (B, K, H) probabilities.
        matrix: (B, 2, 3).
        bins_per_px: SimCC's split ratio; bin 0 lies at px 0.
    """
    lengths = along_x.shape[-1], along_y.shape[-1]
    size = GRID_FACTOR * max(lengths)
    warped = []
    for axis, length in enumerate(lengths):
        shift = matrix[:, axis, 2:] * bins_per_px
        spectra = []
        for vector, factor in zip((along_x, along_y), matrix[:, axis, :2].unbind(1), strict=True):
            bins = torch.arange(vector.shape[-1], device=vector.device, dtype=vector.dtype)
            spectra.append(torch.fft.rfft(_splat(vector, factor[:, None] * bins + shift, size)))
            shift = torch.zeros_like(shift)  # once
        whole = torch.fft.irfft(spectra[0] * spectra[1], n=size)[..., :length].clamp(min=0)
        mass = whole.sum(-1, keepdim=True)
        warped.append(torch.where(mass > MIN_MASS, whole / mass.clamp(min=MIN_MASS), 0))
    return warped[0], warped[1]


def _splat(mass: Tensor, at: Tensor, size: int) -> Tensor:
    """(B, K, size): ``mass`` (B, K, N) put at places (B, N) of a circular grid, shared linearly.

    What lies farther away than half of the grid is lost.
    """
    low = at.floor()
    grid = mass.new_zeros(*mass.shape[:2], size)
    for cell, share in ((low, 1 - (at - low)), (low + 1, at - low)):
        share = torch.where(cell.abs() < size // 2, share, 0)
        index = (cell.long() % size)[:, None].expand_as(mass)
        grid.scatter_add_(-1, index, mass * share[:, None])
    return grid


def keypoint_weights(
    confidence: Tensor, points: Tensor, size: tuple[int, int], min_confidence: float
) -> Tensor:
    """(B, K) weights: the confidence; 0 below the least, and outside the student's view.

    Args:
        confidence: (B, K), 0 to 1.
        points: (B, K, 2) px of the student's view.
        size: Its width and height, px.
        min_confidence: Least confidence that counts.
    """
    inside = ((points > -0.5) & (points < points.new_tensor(size) - 0.5)).all(-1)
    return torch.where((confidence >= min_confidence) & inside, confidence, 0)


def teacher_maps(model: Any, inputs: Tensor, flip_indices: Sequence[int]) -> list[Tensor]:
    """Compute what a head puts out, averaged over the flip test where the config has one.

    That is what a validation looks at, whose calibration is applied.

    Args:
        model: A pose estimator.
        inputs: (B, C, H, W), preprocessed.
        flip_indices: Of the keypoints.

    Returns:
        Heatmaps (B, K, H, W), or SimCC vectors (B, K, W) and (B, K, H).
    """

    def forward(images: Tensor) -> list[Tensor]:
        output = model.head.forward(model.extract_feat(images))
        return list(output) if isinstance(output, tuple) else [output]

    plain = forward(inputs)
    if not model.test_cfg.get("flip_test", False):
        return plain
    mirrored = forward(inputs.flip(-1))
    if len(mirrored) == 2:
        back = flip_vectors(*mirrored, flip_indices)
    else:
        shift = model.test_cfg.get("shift_heatmap", False)
        back = [flip_heatmaps(mirrored[0], flip_indices, shift_heatmap=shift)]
    return [(one + other) / 2 for one, other in zip(plain, back, strict=True)]


Targets = tuple[dict[str, Tensor], Tensor, Tensor]
"""Targets by name (B, …), scores (B, K), and points (B, K, 2) in px of the student's view."""


def heatmap_targets(head: Any, codec: Any, maps: list[Tensor], matrix: Tensor) -> Targets:
    """Targets of heatmaps (B, K, H, W); their scores are the peaks, as the codec decodes them."""
    (heatmaps,) = maps
    px_per_cell = matrix.new_tensor(np.broadcast_to(codec.scale_factor, 2))
    scores, index = heatmaps.flatten(2).max(-1)
    width = heatmaps.shape[-1]
    points = torch.stack([index % width, index // width], dim=-1) * px_per_cell
    warped = warp_heatmaps(heatmaps, matrix, px_per_cell)
    return dict(heatmaps=warped), scores, warp_points(points, matrix)


def simcc_targets(head: Any, codec: Any, maps: list[Tensor], matrix: Tensor) -> Targets:
    """Targets of SimCC vectors (B, K, W) and (B, K, H) that the loss turns into distributions."""
    loss, ratio = head.loss_module, codec.simcc_split_ratio
    peaks, index = zip(*(each.max(-1) for each in maps), strict=True)
    points = torch.stack(index, dim=-1) / ratio
    along_x, along_y = ((loss.beta * each).softmax(-1) for each in maps)
    warped = warp_simcc(along_x, along_y, matrix, ratio)
    labels = [
        each.clamp(min=1e-12).log() / loss.label_beta if loss.label_softmax else each
        for each in warped
    ]
    names = ("keypoint_x_labels", "keypoint_y_labels")
    targets = dict(zip(names, labels, strict=True))
    return targets, torch.minimum(*peaks), warp_points(points.to(matrix.dtype), matrix)
