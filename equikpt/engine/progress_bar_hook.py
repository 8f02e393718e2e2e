"""Progress bars of a training, its validations and a test."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from tqdm import tqdm
from tqdm.contrib import DummyTqdmFile

WINDOW = 20
"""Steps whose mean loss is shown, as in the log."""


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """A bar for each epoch, each validation and a test, on a terminal's standard error.

    It shows the epoch, the step, the time that the epoch still takes, the mean loss of the last
    steps and the time that the run still takes, validations included. The log's lines appear above
    it, and a bar that is done goes away. Where standard error is no terminal, and on ranks other
    than 0, nothing is shown and nothing changed.

    Args:
        enabled: Off with ``default_hooks.progress_bar.enabled=False``.
    """

    priority = "VERY_LOW"  # after the hooks that write down the loss and into the log

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._shown = False
        self._bar: tqdm | None = None
        self._epoch_bar: tqdm | None = None
        self._start_iter = 0
        self._start_s = 0.0
        self._lifted: list[tuple[logging.StreamHandler, Any]] = []

    def before_run(self, runner: Runner) -> None:
        """Have the log write above the bars, if there are going to be any.

        Its handlers stay, with their formats, levels and filters; ``tqdm.contrib.logging`` would
        put another handler in their place.
        """
        self._shown = self.enabled and runner.rank == 0 and sys.stderr.isatty()
        for handler in runner.logger.handlers if self._shown else ():
            stream = getattr(handler, "stream", None)
            if stream in (sys.stdout, sys.stderr):
                handler.setStream(DummyTqdmFile(stream))
                self._lifted.append((handler, stream))

    def after_run(self, runner: Runner) -> None:
        """Give the log its streams back."""
        for handler, stream in self._lifted:
            handler.setStream(stream)
        self._lifted = []

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._start_iter, self._start_s = runner.iter, time.monotonic()

    def before_train_epoch(self, runner: Runner) -> None:
        """Show a new bar; a loop by iterations has one epoch."""
        steps = runner.max_iters // runner.max_epochs
        title = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
        self._epoch_bar = self._new(title, steps, "step", runner.iter - runner.epoch * steps)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None
    ) -> None:
        """Move on, and show the loss and the time left."""
        if self._epoch_bar is None or self._epoch_bar.disable:
            return
        losses = runner.message_hub.log_scalars.get("train/loss")
        loss = "" if losses is None else f"loss {losses.mean(WINDOW):.4g}, "
        step_s = (time.monotonic() - self._start_s) / (runner.iter + 1 - self._start_iter)
        left_s = step_s * (runner.max_iters - runner.iter - 1)
        shown = f"{loss}run {tqdm.format_interval(left_s)} left"
        self._epoch_bar.set_postfix_str(shown, refresh=False)
        self._epoch_bar.update()

    def after_train_epoch(self, runner: Runner) -> None:
        """Take the bar away."""
        if self._epoch_bar is not None:
            self._epoch_bar.close()

    def before_val_epoch(self, runner: Runner) -> None:
        """Show a new bar."""
        self._bar = self._new("validation", len(runner.val_dataloader))

    def before_test_epoch(self, runner: Runner) -> None:
        """Show a new bar."""
        self._bar = self._new("test", len(runner.test_dataloader))

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Any = None
    ) -> None:
        """Move on; before metrics are computed, which may print, take the bar away."""
        if self._bar is not None:
            self._bar.update()
            if batch_idx + 1 == self._bar.total:
                self._bar.close()

    after_test_iter = after_val_iter

    def _new(self, title: str, total: int, unit: str = "batch", initial: int = 0) -> tqdm:
        return tqdm(
            desc=title,
            total=total,
            initial=initial,
            unit=unit,
            leave=False,
            dynamic_ncols=True,
            disable=not self._shown,
        )
