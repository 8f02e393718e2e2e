"""Compare head and data sets before the first step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.engine.wrapping import unwrap
from equikpt.models.heads.keypoint_channels import check_keypoint_channels


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
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            if isinstance(loop, BaseLoop):
                metainfo = getattr(loop.dataloader.dataset, "metainfo", {})
                check_keypoint_channels(unwrap(runner.model), metainfo)
