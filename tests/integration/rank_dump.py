"""A hook for tests: every rank writes its own weights after training."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmpose.registry import HOOKS

from equikpt.compat.strict_load import unwrap


@HOOKS.register_module()
class RankDumpHook(Hook):
    priority = "LOWEST"

    def after_train(self, runner) -> None:
        torch.save(
            unwrap(runner.model).state_dict(), Path(runner.work_dir) / f"rank_{runner.rank}.pth"
        )
