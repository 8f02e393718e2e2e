"""Operations on maps that decoders share, in torch.

Letters: N crops, K keypoints, W columns, H rows.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

TINY = torch.finfo(torch.float32).tiny


class Blur(nn.Module):
    """Blur maps as MMPose does before it refines: OpenCV's Gaussian, then the maximum of before.

    Args:
        size: Side of the kernel in cells, odd.
        is_flat: Blur vectors (…, W) instead of maps (…, H, W).
    """

    kernel: Tensor

    def __init__(self, size: int, is_flat: bool = False) -> None:
        super().__init__()
        self.is_flat, self.border = is_flat, size // 2
        kernel = cv2.getGaussianKernel(size, 0, cv2.CV_32F)[:, 0]
        self.register_buffer("kernel", torch.from_numpy(kernel))

    def forward(self, maps: Tensor) -> Tensor:
        """Blur maps (N, K, H, W), or vectors (N, K, W)."""
        planes = maps[:, :, None] if self.is_flat else maps
        single = planes.flatten(0, 1)[:, None]
        blurred = functional.conv2d(single, self.kernel.view(1, 1, 1, -1), padding=(0, self.border))
        if not self.is_flat:
            blurred = functional.conv2d(
                blurred, self.kernel.view(1, 1, -1, 1), padding=(self.border, 0)
            )
        blurred = blurred.reshape(planes.shape)
        before, after = (
            planes.amax(dim=(-2, -1), keepdim=True),
            blurred.amax((-2, -1), keepdim=True),
        )
        scaled = blurred * (before / after)
        return scaled[:, :, 0] if self.is_flat else scaled


def constant(values: Any) -> Tensor:
    """Make a float32 tensor of numbers."""
    return torch.from_numpy(np.array(values, np.float32))


def maximum(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (N, K, 2), int64, and heights (N, K) of maxima; (-1, -1) where none is above 0."""
    scores, index = heatmaps.flatten(2).max(dim=-1)
    width = heatmaps.shape[-1]
    cells = torch.stack([index % width, index // width], dim=-1)
    return torch.where((scores > 0)[..., None], cells, torch.full_like(cells, -1)), scores


def beside(maps: Tensor, cells: Tensor, dx: int, dy: int) -> Tensor:
    """Values (N, K) beside the cells (N, K, 2); at the border those of the border."""
    height, width = maps.shape[-2:]
    x, y = (cells[..., 0] + dx).clamp(0, width - 1), (cells[..., 1] + dy).clamp(0, height - 1)
    return maps.flatten(2).gather(2, (y * width + x)[..., None])[..., 0]


def solve(xx: Tensor, xy: Tensor, yy: Tensor, vector: Tensor) -> Tensor:
    """Multiply vectors (…, 2) by the inverse of symmetric matrices."""
    x, y = vector.unbind(-1)
    return torch.stack([yy * x - xy * y, xx * y - xy * x], dim=-1) / (xx * yy - xy * xy)[..., None]


def newton_1d(vectors: Tensor, cells: Tensor) -> Tensor:
    """Steps (N, K) off cells (N, K) to the top of the log of blurred vectors (N, K, W)."""
    logs = functional.pad(vectors.clamp(1e-3, 50.0).log(), (2, 2), mode="replicate")
    middle, length = cells + 2, logs.shape[-1]

    def at(step: int) -> Tensor:
        return logs.gather(2, torch.remainder(middle + step, length)[..., None])[..., 0]

    return (at(1) - at(-1)) / 2 / (1e-9 + (at(2) - 2 * at(0) + at(-2)) / 4)


def entropy(probability: Tensor) -> Tensor:
    """Entropy (…) in nats of (…, T); what is 0 adds nothing."""
    return -(probability * probability.clamp_min(TINY).log()).sum(dim=-1)


def disk_radius(entropies: Tensor, cell_area: float) -> Tensor:
    """Compute radii as ``equikpt.codecs.spread.disk_radius``."""
    return (entropies.exp() * (cell_area / np.pi)).sqrt()
