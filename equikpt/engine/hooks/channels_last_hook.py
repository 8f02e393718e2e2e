"""Convolutions in the memory layout that current hardware computes fastest."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from equikpt.engine.wrapping import unwrap, wrap_again


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store the weights of convolutions as ``(out, kH, kW, in)``; activations follow.

    Shapes, results and checkpoints are the same, up to rounding: only strides differ
    (https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html). A convolution
    whose weights are in this layout hands out activations in it, whatever its input has, so the
    pictures need no change.

    Args:
        enabled: Off with ``default_hooks.channels_last.enabled=False``.
    """

    priority = "VERY_HIGH"  # before the EMA hook copies the model

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def before_run(self, runner: Runner) -> None:
        """Change the layout in place: the optimizer holds these very parameters."""
        if not self.enabled:
            return
        model = unwrap(runner.model)
        if any(isinstance(module, nn.Conv2d) for module in model.modules()):
            model.to(memory_format=torch.channels_last)
            wrap_again(runner)
            runner.logger.info("Convolutions run in channels_last")
