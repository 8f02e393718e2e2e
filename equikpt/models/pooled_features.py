"""Features by which a model's images are compared, pooled from a map of its backbone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def pooled_features(maps: Sequence[Tensor]) -> Tensor:
    """Pool the maximum of each channel over the last feature map, (B, C) float32.

    Of the means, deviations and maxima over that map and the finer ones, and of the features at the
    predicted keypoints, these tell best what a model was not made for: benchmarks/README.md.

    Args:
        maps: (B, C, h, w) each, of the backbone, from shallow to deep.
    """
    return maps[-1].amax(dim=(2, 3)).float()
