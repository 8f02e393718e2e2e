"""Features by which a model's images are compared, pooled from those that its head reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pooled_features(feats: Sequence[Tensor]) -> Tensor:
    """Mean and standard deviation of each channel over the last feature map, (B, 2 · C) float32.

    Args:
        feats: Maps (B, C, h, w) of backbone and neck, of which heads read the last.
    """
    last = feats[-1].flatten(2).float()
    return torch.cat([last.mean(dim=2), last.std(dim=2, correction=0)], dim=1)
