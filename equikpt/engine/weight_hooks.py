"""Weights that a training starts from: by the name of released ones, and fitted to its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, CheckpointLoader, Runner
from mmpose.registry import HOOKS
from torch import Tensor, nn

from equikpt.checkpoints.remap import remap_checkpoint, take_backbone
from equikpt.checkpoints.remap_state import PointMatch, TensorRow, check_patterns, format_rows
from equikpt.checkpoints.zoo import SCHEME
from equikpt.checkpoints.zoo_files import ask_on_terminal, bring
from equikpt.compat.safe_load import load_from_local
from equikpt.compat.strict_load import unwrap
from equikpt.compat.work_dir import newest_whole
from equikpt.engine.stages import refuse_frozen_random_weights


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_released(filename: str, map_location: Any = None) -> dict:
    """Read released weights by name, ``load_from = "zoo://rtmpose_m_ap10k"``; MMEngine calls it.

    A file that is not there is fetched and compared with its SHA-256, by the first process while
    the others wait.

    Raises:
        UnacceptedError, OSError: As :func:`equikpt.checkpoints.bring`.
    """
    if is_main_process():
        bring(filename, ask_on_terminal)
    barrier()
    return load_from_local(str(bring(filename)), map_location)


class StartHook(Hook):
    """Base of hooks that fit the checkpoint of ``load_from`` to the model before it is loaded.

    A training with such a hook starts from weights: without any, it does not begin. A resumed run
    and a test are left alone: they need the very weights of their checkpoint.

    Args:
        random_weights: Train from random weights where ``load_from`` names none.
    """

    priority = "VERY_HIGH"  # before the EMA hook copies the weights into its own model

    def __init__(self, random_weights: bool = False) -> None:
        self.random_weights = random_weights

    def before_run(self, runner: Runner) -> None:
        """Refuse a training that nobody gave weights.

        Raises:
            ValueError: There are none, or stages are frozen that would stay random.
        """
        if runner._load_from or not _trains(runner):
            return
        if runner._resume and newest_whole(Path(runner.work_dir))[0]:
            return
        if not self.random_weights:
            raise ValueError(
                "expected weights to start from, found none"
                + (f" and nothing to resume in {runner.work_dir}" * bool(runner._resume))
                + "; give load_from (tools/download_checkpoints.py --list shows released ones), or "
                "start from random weights with --from-scratch (random_weights=True in the "
                f"config's {type(self).__name__})"
            )
        refuse_frozen_random_weights(runner.cfg)
        runner.logger.info("The training starts from random weights")

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace ``checkpoint["state_dict"]``, which the runner loads next."""
        if runner._resume or not _trains(runner):
            return
        checkpoint["state_dict"], rows = self.fit(checkpoint, unwrap(runner.model))
        for line in self.describe(rows):
            runner.logger.info(line)

    def fit(
        self, checkpoint: Mapping[str, Any], model: nn.Module
    ) -> tuple[dict[str, Tensor], list[TensorRow]]:
        """Return all tensors of the model, and a row for each."""
        raise NotImplementedError

    def describe(self, rows: list[TensorRow]) -> list[str]:
        """Return the lines of the log."""
        raise NotImplementedError


def _trains(runner: Runner) -> bool:
    # test and val build their loop first
    tests, validates, trains = (
        isinstance(loop, BaseLoop)
        for loop in (runner._test_loop, runner._val_loop, runner._train_loop)
    )
    return not tests and (trains or not validates)


@HOOKS.register_module()
class RemapCheckpointHook(StartHook):
    """Start from the weights of another keypoint set, and log every tensor.

    ::

        load_from = "zoo://rtmpose_m_ap10k"
        custom_hooks = [dict(type="RemapCheckpointHook", source="ap10k"), ...]

    How points without an equal start is in :mod:`equikpt.checkpoints.remap`. A checkpoint of the
    target's own set loads as it is.

    Args:
        source: Keypoint set of the checkpoint: ap10k, animalpose, horse10 or horse26.
        target: Keypoint set of the model.
        allow_missing: Patterns (``*`` is any text) of the model's tensors that may keep the values
            they start with where the checkpoint does not have them, or has them in another shape.
        random_weights: As :class:`StartHook`.

    Raises:
        TypeError: ``allow_missing`` is a string; while loading, the head's class is not known.
        ValueError: A set is unknown; while loading, the checkpoint does not fit.
    """

    def __init__(
        self,
        source: str,
        target: str = "horse26",
        allow_missing: Iterable[str] = (),
        random_weights: bool = False,
    ) -> None:
        super().__init__(random_weights)
        PointMatch(source, target)
        self.source = source
        self.target = target
        self.allow_missing = check_patterns(allow_missing)

    def fit(
        self, checkpoint: Mapping[str, Any], model: nn.Module
    ) -> tuple[dict[str, Tensor], list[TensorRow]]:
        """Map the head's points by name; the rest must fit as it is."""
        return remap_checkpoint(checkpoint, model, self.source, self.target, self.allow_missing)

    def describe(self, rows: list[TensorRow]) -> list[str]:
        """Name each tensor, unless all are loaded."""
        if all(row.outcome == "loaded" for row in rows):
            return [f"Checkpoint of {self.target}: all {len(rows)} tensors loaded"]
        return [f"Checkpoint of {self.source} for a model of {self.target}:", *format_rows(rows)]


@HOOKS.register_module()
class BackboneCheckpointHook(StartHook):
    """Start from the backbone of a checkpoint; neck and head start from random weights.

    For weights of ImageNet, and for keypoints that have nothing to do with the checkpoint's::

        load_from = "zoo://hrnet_w18_imagenet"
        custom_hooks = [dict(type="BackboneCheckpointHook"), ...]

    Args:
        random_weights: As :class:`StartHook`.

    Raises:
        ValueError: While loading, a tensor of the backbone is missing or has another shape.
    """

    def fit(
        self, checkpoint: Mapping[str, Any], model: nn.Module
    ) -> tuple[dict[str, Tensor], list[TensorRow]]:
        """Take the backbone."""
        return take_backbone(checkpoint, model)

    def describe(self, rows: list[TensorRow]) -> list[str]:
        """Count the tensors."""
        return [f"Backbone of a checkpoint: {format_rows(rows)[-1]}"]
