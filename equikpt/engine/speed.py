"""Training speed of a config on this machine, measured."""

from __future__ import annotations

import contextlib
import copy
import tempfile
import time
from itertools import pairwise

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from equikpt.core.configs import import_modules

WARM_UP_STEPS = 2
"""Steps that allocate memory, decode images and choose kernels."""
MIN_STEPS = 3
SPEED_HOOKS = ("timer", "allocator", "thread_budget", "channels_last", "depthwise_grad")
"""Hooks of a config that change how fast a step is."""
UNUSED = (
    *(
        f"{split}_{part}"
        for split in ("val", "test")
        for part in ("cfg", "dataloader", "evaluator")
    ),
    *("param_scheduler", "load_from"),
)
"""Keys of a config that these steps do without."""


class StopTraining(Exception):
    """Raised where enough steps have been timed."""


class StepTimer(Hook):
    """Stop a training once its steps have been timed.

    Args:
        seconds: That the timed steps take in all, at least; :data:`MIN_STEPS` at least as well.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.times: list[float] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None):
        """Take the time, and stop after the last step."""
        self.times.append(time.perf_counter())
        timed = self.times[WARM_UP_STEPS - 1 :]
        if len(timed) > MIN_STEPS and timed[-1] - timed[0] >= self.seconds:
            raise StopTraining


def training_speed(cfg: Config, seconds: float = 4.0) -> float:
    """Measure how many samples a second a config trains with on this machine.

    A few real steps: data set, augmentation, network, optimizer and the hooks that make them
    faster, without validation, on the first images only, so that these are decoded once as they are
    in a training. The config is left as it is, and nothing is written but to a temporary folder.

    Args:
        cfg: Of a training.
        seconds: That the timed steps take.

    Raises:
        FileNotFoundError: The data set or the weights are missing.
        ImportError: A module of its ``custom_imports`` is missing.
    """
    import_modules(cfg)
    cfg = copy.deepcopy(cfg)
    batch = cfg.train_dataloader.batch_size
    cfg.train_dataloader.dataset.indices = 2 * batch
    cfg.train_dataloader.sampler = dict(type="InfiniteSampler", shuffle=True)
    cfg.train_cfg = dict(by_epoch=False, max_iters=10**6, val_interval=10**6)
    for key in UNUSED:
        cfg[key] = None
    unused = dict.fromkeys(("logger", "param_scheduler", "checkpoint"))
    cfg.default_hooks = {name: cfg.default_hooks[name] for name in SPEED_HOOKS} | unused
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type == "EMAHook"]
    cfg.log_level, cfg.resume = "ERROR", False
    timer = StepTimer(seconds)
    with tempfile.TemporaryDirectory() as cfg.work_dir:
        cfg.visualizer = dict(type="Visualizer", name=cfg.work_dir)  # names are used once
        runner = Runner.from_cfg(cfg)
        runner.register_hook(timer)
        with contextlib.suppress(StopTraining):
            runner.train()
    steps = [end - start for start, end in pairwise(timer.times[WARM_UP_STEPS - 1 :])]
    return float(batch / np.median(steps))
