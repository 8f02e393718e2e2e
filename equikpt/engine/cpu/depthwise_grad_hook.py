"""Depthwise convolutions that train fast on a CPU."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.engine.cpu.depthwise_conv import DepthwiseConv2d
from equikpt.engine.wrapping import unwrap


@HOOKS.register_module()
class DepthwiseGradHook(Hook):
    """Compute the gradients of depthwise convolutions in ways that are faster on a CPU.

    Parameters, their names and checkpoints stay as they are; training on a GPU does not change.
    See :class:`equikpt.engine.cpu.depthwise_conv.DepthwiseConv2d`.

    Args:
        enabled: Off with ``default_hooks.depthwise_grad.enabled=False``.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def before_train(self, runner: Runner) -> None:
        """Change the convolutions of the model that trains."""
        if not self.enabled:
            return
        count = DepthwiseConv2d.convert_depthwise_convs(unwrap(runner.model))
        if count:
            runner.logger.info(
                f"{count} depthwise convolutions compute their gradients in ways that suit a CPU"
            )
