"""A hook that writes down when each training step ended, and its loss."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from mmengine.hooks import Hook
from mmpose.registry import HOOKS


@HOOKS.register_module()
class StepClockHook(Hook):
    """Write ``step_clock.json`` into the work dir after training."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Note the time and the loss."""
        self.ends.append(time.perf_counter())
        self.losses.append(float(outputs["loss"]))

    def after_train(self, runner) -> None:
        """Write the notes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found = dict(ends=self.ends, losses=self.losses, peak_gib=peak)
        (Path(runner.work_dir) / "step_clock.json").write_text(json.dumps(found))
