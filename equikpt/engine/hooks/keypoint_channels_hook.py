"""Compare head and data sets before the first step."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.engine.wrapping import unwrap
from equikpt.models.heads.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)


@HOOKS.register_module()
class KeypointChannelsHook(Hook):
    """Refuse a head that has another number of keypoints than the data sets of the run.

    In training that would be a tensor's size in the first step, and in a test an evaluation of
    the wrong points.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        """Check each loop that the run has built.

        Raises:
            ValueError: The numbers differ.
        """
        for metainfo in _metainfos(runner):
            check_keypoint_channels(unwrap(runner.model), metainfo)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Warn of weights that were trained on as many other keypoints."""
        for sentence in {describe_other_keypoints(checkpoint, m) for m in _metainfos(runner)}:
            if sentence:
                runner.logger.warning(sentence)


def _metainfos(runner: Runner) -> list[Mapping]:
    """Metainfo of the data set of each loop that the run has built."""
    loops = (runner._train_loop, runner._val_loop, runner._test_loop)
    datasets = [loop.dataloader.dataset for loop in loops if isinstance(loop, BaseLoop)]
    return [dataset.metainfo for dataset in datasets if hasattr(dataset, "metainfo")]
