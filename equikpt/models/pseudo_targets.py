"""Targets that a teacher's output on one view of an image makes for a student on another view.

Letters: B images, K keypoints, W columns, H rows of a map, or bins of a SimCC vector. An affine map
``matrix`` (B, 2, 3) leads from px of the teacher's view to px of the student's; both views have the
same size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
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
