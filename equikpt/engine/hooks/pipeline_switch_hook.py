"""Another augmentation from a given epoch on."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.core.pipelines import fill_codec


@HOOKS.register_module()
class PipelineSwitchHook(Hook):
    """Replace the training pipeline at the beginning of an epoch.

    Which pipeline runs depends on the epoch alone, so a resumed run has the right one.

    Args:
        switches: ``dict(begin=…, pipeline=[…])`` in rising order of ``begin``, the first epoch
            (counted from 0) with this pipeline. Before the first of them the dataset's own runs.
            Crops and targets take the dataset's codec where they name none.

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
        self.switches = [(switch["begin"], switch["pipeline"]) for switch in switches]
        self._passed = 0

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the pipeline of this epoch, before the loader's workers are forked."""
        passed = [pipeline for begin, pipeline in self.switches if begin <= runner.epoch]
        if len(passed) == self._passed:
            return
        self._passed = len(passed)
        loader = runner.train_dataloader
        codec = getattr(loader.dataset, "codec", None)
        loader.dataset.pipeline = pipeline = Compose(fill_codec(passed[-1], codec))
        loader._iterator = None  # persistent workers hold a copy of the old one
        names = ", ".join(type(step).__name__ for step in pipeline.transforms)
        runner.logger.info(f"Training pipeline from epoch {runner.epoch + 1} on: {names}")
