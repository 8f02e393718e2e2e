"""Hooks that compare a checkpoint with the run's keypoints, or fit it to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.checkpoints.remap import remap_checkpoint
from equikpt.checkpoints.remap_state import PointMatch, check_patterns, format_rows
from equikpt.compat.strict_load import unwrap
from equikpt.models.keypoint_channels import (
    check_keypoint_channels,
    describe_other_keypoints,
)


@HOOKS.register_module()
class KeypointChannelsHook(Hook):
    """Refuse a head that has another number of keypoints than the data sets of the run."""

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
    loops = (runner._train_loop, runner._val_loop, runner._test_loop)
    datasets = [loop.dataloader.dataset for loop in loops if isinstance(loop, BaseLoop)]
    return [dataset.metainfo for dataset in datasets if hasattr(dataset, "metainfo")]


@HOOKS.register_module()
class RemapCheckpointHook(Hook):
    """Fit the checkpoint of ``load_from`` to the model before it is loaded, and log every tensor.

    ::

        load_from = "checkpoints/rtmpose-m_simcc-ap10k.pth"
        custom_hooks = [dict(type="RemapCheckpointHook", source="ap10k"), ...]

    How points without an equal start is in :mod:`equikpt.checkpoints.remap`. A checkpoint of the
    target's own set loads as it is. A resumed run and a test are left alone: they need the very
    weights.

    Args:
        source: Keypoint set of the checkpoint: ap10k, animalpose, horse10 or horse26.
        target: Keypoint set of the model.
        allow_missing: Patterns (``*`` is any text) of the model's tensors that may keep the values
            they start with where the checkpoint does not have them, or has them in another shape.

    Raises:
        TypeError: ``allow_missing`` is a string; while loading, the head's class is not known.
        ValueError: A set is unknown; while loading, the checkpoint does not fit.
    """

    priority = "VERY_HIGH"  # before the EMA hook copies the weights into its own model

    def __init__(
        self, source: str, target: str = "horse26", allow_missing: Iterable[str] = ()
    ) -> None:
        PointMatch(source, target)
        self.source = source
        self.target = target
        self.allow_missing = check_patterns(allow_missing)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace ``checkpoint["state_dict"]``, which the runner loads next."""
        # test and val build their loop first
        tests, validates, trains = (
            isinstance(loop, BaseLoop)
            for loop in (runner._test_loop, runner._val_loop, runner._train_loop)
        )
        if runner._resume or tests or (validates and not trains):
            return
        state, rows = remap_checkpoint(
            checkpoint, unwrap(runner.model), self.source, self.target, self.allow_missing
        )
        checkpoint["state_dict"] = state
        if all(row.outcome == "loaded" for row in rows):
            runner.logger.info(f"Checkpoint of {self.target}: all {len(rows)} tensors loaded")
            return
        runner.logger.info(f"Checkpoint of {self.source} for a model of {self.target}:")
        for line in format_rows(rows):
            runner.logger.info(line)
