"""A feature pyramid of which only the finest level is built."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import interpolate


@MODELS.register_module()
class FinestLevelFPN(BaseModule):
    """Features of several strides merged, from the coarsest down, at the finest stride.

    Each level passes a 1 × 1 convolution to ``out_channels``; the coarser sum is enlarged
    bilinearly and added; a 3 × 3 convolution with BN and ReLU smooths the finest sum. MMPose's
    ``FPN`` keeps an output convolution for every level, of which a heatmap head reads one: the
    others would get no gradient, which DDP refuses.

    Args:
        in_channels: Channels of each level, finest first.
        out_channels: Channels of the output.
        init_cfg: As ``BaseModule``.

    Raises:
        ValueError: Fewer than two levels, or another number of inputs than levels.

    Source: Lin et al., 2017, https://arxiv.org/abs/1612.03144 (FPN).
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int, init_cfg: dict | None = None
    ) -> None:
        super().__init__(
            init_cfg or dict(type="Kaiming", layer="Conv2d", nonlinearity="linear", mode="fan_in")
        )
        if len(in_channels) < 2:
            raise ValueError(
                f"expected the channels of at least two levels, got {list(in_channels)}; a single "
                "level needs no neck"
            )
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, out_channels, 1, bias=False) for width in in_channels
        )
        self.smooth = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """Merge the levels.

        Args:
            features: (B, C_i, H_i, W_i) each, finest first.

        Returns:
            (B, out_channels, H_0, W_0), alone in a tuple, as heads expect it.
        """
        if len(features) != len(self.laterals):
            raise ValueError(
                f"expected features of {len(self.laterals)} levels, got {len(features)}; make the "
                "neck's in_channels agree with the backbone's out_indices"
            )
        levels = [lateral(level) for lateral, level in zip(self.laterals, features, strict=True)]
        merged = levels.pop()
        while levels:
            finer = levels.pop()
            enlarged = interpolate(
                merged, size=finer.shape[-2:], mode="bilinear", align_corners=False
            )
            merged = finer + enlarged
        return (self.smooth(merged),)
