"""MMPose's backbones with an option that works; names of weights and arguments are the same."""

from __future__ import annotations

from typing import Any

from mmpose.models.backbones import CSPNeXt, LiteHRNet
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@MODELS.register_module()
class FreezingCSPNeXt(CSPNeXt):
    """MMPose's CSPNeXt, which freezes when it is built and not only when training starts.

    MMPose's own freezes in ``train()``, after MMEngine has wrapped the model in DDP, which then
    waits for gradients that never come.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._freeze_stages()


class RecomputedSequential(nn.Sequential):
    """``nn.Sequential`` that keeps the input of each of its modules and nothing in between."""

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Compute all modules; in training, each once more in the backward pass."""
        for module in self:
            x = checkpoint(module, x, use_reentrant=False) if self.training else module(x)
        return x


@MODELS.register_module()
class RecomputingLiteHRNet(LiteHRNet):
    """MMPose's Lite-HRNet with a ``with_cp`` that works: less memory for more time.

    MMPose's own ``with_cp=True`` asks a list of tensors for its ``requires_grad`` and fails. BN
    statistics move twice a step, as with every activation checkpointing of a BN.
    """

    def __init__(self, *args: Any, with_cp: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, with_cp=False, **kwargs)
        for index in range(self.num_stages if with_cp else 0):
            stage = getattr(self, f"stage{index}")
            setattr(self, f"stage{index}", RecomputedSequential(*stage))
