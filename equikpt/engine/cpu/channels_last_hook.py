"""Convolutions in the memory layout that current hardware computes fastest."""

from __future__ import annotations

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseAveragedModel
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn

from equikpt.engine.wrapping import rewrap_ddp, unwrap


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store the weights of convolutions as ``(out, kH, kW, in)``; activations follow.

    Shapes, results and checkpoints are the same, up to rounding: only strides differ
    (https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html). A convolution
    whose weights are in this layout hands out activations in it, whatever its input has, so the
    images need no change.

    Weights change after they are initialised, since torch draws random numbers in the order of the
    memory: a seed gives the weights that it gives without this hook. The EMA hook's average follows
    them, which halves the time that it takes.

    Args:
        enabled: Off with ``default_hooks.channels_last.enabled=False``.
    """

    priority = "VERY_HIGH"  # before hooks that look at the wrapped model

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._is_done = False

    def before_train(self, runner: Runner) -> None:
        """Change the layout in place, which the optimizer's state then has to have as well."""
        self._change_layout(runner)
        match_layout(runner.optim_wrapper.optimizer)

    def before_val(self, runner: Runner) -> None:
        """Where nothing was trained before."""
        self._change_layout(runner)

    def before_test(self, runner: Runner) -> None:
        """Where nothing was trained before."""
        self._change_layout(runner)

    def _change_layout(self, runner: Runner) -> None:
        if not self.enabled or self._is_done:
            return
        self._is_done = True
        model = unwrap(runner.model)
        if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
            return
        model.to(memory_format=torch.channels_last)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                match_average(hook.ema_model)
        rewrap_ddp(runner)
        runner.logger.info("Convolutions run in channels_last")


def match_average(average: BaseAveragedModel) -> None:
    """Change an average to channels_last, with the tensors that it holds on to."""
    average.module.to(memory_format=torch.channels_last)
    average.avg_parameters = (
        average.module.state_dict()
        if average.update_buffers
        else dict(average.module.named_parameters())
    )


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer's state the strides of the parameters, values unchanged.

    A checkpoint keeps the strides that the state had when it was written. torch's fused kernels for
    the CPU go through memory in its order, without a look at strides: with other strides they
    would silently mix up the entries.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, torch.Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
