"""Save what a validation has decided, and make up for a validation that was cut off."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS

KEY = "validation"
"""Key of the state in a checkpoint."""


@HOOKS.register_module()
class ValidationStateHook(Hook):
    """Have a resumed run stop, and know what it validated, as the uninterrupted one.

    A checkpoint is written before the validation of its step. It says which step was validated
    last, so that a run that is resumed from it does the validation that it owes; and it holds count
    and best value of each ``EarlyStoppingHook``, which MMEngine keeps in memory alone.

    Needs ``AtomicCheckpointHook``, which writes the checkpoint again after the validation.
    """

    priority = "LOWEST"  # after the hooks that get ready for training and count validations

    def __init__(self) -> None:
        self._validated_iter = -1
        self._loaded: dict[str, Any] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state."""
        checkpoint[KEY] = dict(
            iter=self._validated_iter,
            early_stopping=[
                dict(
                    wait_count=hook.wait_count,
                    best_score=float(hook.best_score),
                    patience=hook.patience,
                )
                for hook in _early_stopping(runner)
            ],
            stopped=bool(getattr(runner.train_loop, "stop_training", False)),
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the state of a checkpoint that the run is resumed from."""
        if runner._resume:
            self._loaded = checkpoint.get(KEY, {})

    def before_train(self, runner: Runner) -> None:
        """Count on from the checkpoint, and validate where that was cut off."""
        if not runner._resume or runner.iter == 0:
            return
        self._validated_iter = self._loaded.get("iter", -1)
        hooks, states = _early_stopping(runner), self._loaded.get("early_stopping", [])
        for hook, state in zip(hooks, states, strict=False):
            hook.wait_count, hook.best_score = state["wait_count"], state["best_score"]
        # a greater patience lets a run that it had ended go on
        was_over = any(state["wait_count"] >= state["patience"] for state in states)
        is_over = any(hook.wait_count >= hook.patience for hook in hooks)
        if self._loaded.get("stopped") and (is_over or not was_over):
            runner.train_loop.stop_training = True
            runner.logger.info(
                f"Early stopping had ended this run at epoch {runner.epoch}: raise its patience to "
                "go on"
            )
        elif self._validated_iter != runner.iter and is_validated_here(runner):
            runner.logger.info(f"Validating epoch {runner.epoch}, which the last start did not end")
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remember the step."""
        self._validated_iter = runner.iter


def is_validated_here(runner: Runner) -> bool:
    """Tell if the training loop validates after the step that it has reached."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return False
    loop._decide_current_val_interval()
    if not isinstance(loop, EpochBasedTrainLoop):
        done, end = loop.iter, loop.max_iters
    elif loop.iter == loop.epoch * len(loop.dataloader):
        done, end = loop.epoch, loop.max_epochs
    else:  # in the middle of an epoch
        return False
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)


def _early_stopping(runner: Runner) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
