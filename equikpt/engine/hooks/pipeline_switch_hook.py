"""Another augmentation from a given epoch on."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class PipelineSwitchHook(Hook):
    """Replace the training pipeline at the beginning of an epoch.

    Which pipeline runs depends on the epoch alone, so a resumed run has the right one.

    Args:
        switches: ``dict(begin=…, pipeline=[…])`` in rising order of ``begin``, the first epoch
            (counted from 0) with this pipeline. Before the first of them the dataset's own runs.

    Raises:
        ValueError: Switches out of order.
    """

    def __init__(self, switches: Sequence[dict]) -> None:
        begins = [switch["begin"] for switch in switches]
        if sorted(set(begins)) != begins:
            raise ValueError(
                f"expected switches in rising order of begin, got {begins}; give each epoch one "
                "pipeline"
            )
        self.switches = [(switch["begin"], Compose(switch["pipeline"])) for switch in switches]
        self._current: Compose | None = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the pipeline of this epoch, before the loader's workers are forked."""
        passed = [pipeline for begin, pipeline in self.switches if begin <= runner.epoch]
        if not passed or passed[-1] is self._current:
            return
        self._current = passed[-1]
        loader = runner.train_dataloader
        loader.dataset.pipeline = self._current
        loader._iterator = None  # persistent workers hold a copy of the old one
        names = ", ".join(type(step).__name__ for step in self._current.transforms)
        runner.logger.info(f"Training pipeline from epoch {runner.epoch + 1} on: {names}")
