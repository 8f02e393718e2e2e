"""Start from a checkpoint of another keypoint set."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpose.registry import HOOKS

from equikpt.checkpoints.remap import remap_checkpoint
from equikpt.checkpoints.remap_state import PointMatch, check_patterns, format_rows
from equikpt.engine.wrapping import unwrap


@HOOKS.register_module()
class RemapCheckpointHook(Hook):
    """Fit what ``load_from`` names to the model before it is loaded, and log every tensor.

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
        if runner._resume or _is_testing(runner):
            return
        model = unwrap(runner.model)
        state, rows = remap_checkpoint(
            checkpoint, model, self.source, self.target, self.allow_missing
        )
        checkpoint["state_dict"] = state
        if all(row.outcome == "loaded" for row in rows):
            runner.logger.info(f"Checkpoint of {self.target}: all {len(rows)} tensors loaded")
            return
        runner.logger.info(f"Checkpoint of {self.source} for a model of {self.target}:")
        for line in format_rows(rows):
            runner.logger.info(line)


def _is_testing(runner: Runner) -> bool:
    """Tell if the runner was started by ``test`` or ``val``: these build their loop first."""
    if isinstance(runner._test_loop, BaseLoop):
        return True
    return isinstance(runner._val_loop, BaseLoop) and not isinstance(runner._train_loop, BaseLoop)
