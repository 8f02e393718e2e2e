"""The model inside DDP, and a new DDP around it."""

from __future__ import annotations

import gc
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """The pose estimator itself, without DDP around it."""
    inner: Any = model.module if is_model_wrapper(model) else model
    return inner


def rewrap_ddp(runner: Runner) -> None:
    """Wrap the runner's model anew, where it is wrapped at all.

    DDP fixes at its construction which parameters it waits for and how their gradients lie in
    memory. Whoever changes either afterwards calls this.
    """
    if not is_model_wrapper(runner.model):
        return
    model = unwrap(runner.model)
    runner.model = None  # the old wrapper's hooks on the gradients go with it
    gc.collect()
    runner.model = runner.wrap_model(runner.cfg.get("model_wrapper_cfg"), model)
