"""Hooks that keep the right checkpoints at any moment, with all that a resumed run needs."""

from __future__ import annotations

import math
import operator
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS

from equikpt.compat import work_dir
from equikpt.compat.work_dir import TOP_LIST, TopCheckpoint, read_top, write_top
from equikpt.core.files import link_file
from equikpt.core.project import BEST, LAST, POINTER, STABLE
from equikpt_runtime.files import write_text

VALIDATION = "validation"
"""Key of the state of :class:`ValidationStateHook` in a checkpoint."""
TOP = "top_checkpoints"
"""Key of the list of :class:`TopKCheckpointHook` in a checkpoint's message hub."""


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, in which an old file goes once its successor is whole.

    - The stock class deletes the best checkpoint, and the oldest of ``max_keep_ckpts``, before it
      writes the next one.
    - The checkpoint of a step is written again after its validation, which changes plateau
      schedules, the best score and other hooks' counts. The stock class does so only after a new
      best, and before all hooks have counted. No best one ever stands alone in a folder.
    - Of equal ones the newest is the best: a metric that is at its end, as an AP of 1, says no more
      of the training that goes on.
    - A resumed run goes on with the files of its own folder, though it was moved or copied.
    - ``best.pth`` (of several keys of ``save_best`` the first) and ``last.pth`` in the work dir are
      links to the best and the newest one, moved once that is whole, before the one before it goes.
    - One training at a time writes to a folder; what a killed one left half written is swept.

    That each file is whole is the work of :mod:`equikpt.compat.work_dir`. Options are the base
    class's.
    """

    rule_map: ClassVar[dict] = dict(greater=operator.ge, less=operator.le)
    keep_ckpt_ids: deque[int]
    _saved_step: int | None = None
    _has_new_best = False

    def before_train(self, runner: Runner) -> None:
        """Take the folder, sweep it, and find the files that the checkpoint names."""
        super().before_train(runner)
        if is_main_process():
            work_dir.lock(Path(runner.work_dir))
            for name in work_dir.sweep(Path(runner.work_dir)):
                runner.logger.warning(f"{name} was left half written by an earlier run: deleted")
        self._set_best({key: self._in_own_folder(path) for key, path in self._best().items()})
        self._link_best(runner)
        if not runner._resume or runner.iter == 0:
            return
        self._saved_step = runner.epoch if self.by_epoch else runner.iter
        self.last_ckpt = self._in_own_folder(runner.message_hub.get_info("last_ckpt", None))
        resumed = Path(runner._load_from or "").resolve()
        in_own_folder = resumed.parent == Path(self.out_dir).resolve()
        if is_main_process() and in_own_folder and resumed.name not in STABLE:
            self._point_to(runner, resumed)  # the run may have been taken back to it

    def after_val(self, runner: Runner) -> None:
        """Write the checkpoint of this step again, as the validation has changed it."""
        step = runner.epoch if self.by_epoch else runner.iter
        if step == self._saved_step or (self._has_new_best and self.interval > 0):
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)
        self._has_new_best = False

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        hub, is_limited = runner.message_hub, self.max_keep_ckpts > 0
        kept = [*self.keep_ckpt_ids] if is_limited else []
        if is_limited:
            # with the one that is about to go: a run that is killed before deletes it when resumed
            kept += [step] if step not in kept else []
            hub.update_info("keep_ckpt_ids", kept)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._saved_step = step
        if is_main_process():
            self._point_to(runner, self.last_ckpt)
        if is_limited:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(
                    self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                )
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :], self.max_keep_ckpts)
            hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best:
            return
        # The base class would delete the old best first, and write the checkpoint of this step at
        # once; it does neither where it knows of no earlier files.
        before, last = self._best(), self.last_ckpt
        self._set_best(dict.fromkeys(before))
        self.last_ckpt = None
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.last_ckpt, new = last, self._best()
            self._set_best({key: path or before.get(key) for key, path in new.items()})
        self._has_new_best = any(new.values())
        if self._has_new_best:
            self._link_best(runner)
        for key, path in before.items():
            if path and new[key] not in (None, path):
                self._remove(path)
                runner.logger.info(f"The previous best checkpoint {path} is removed")

    def _best(self) -> dict[str, str | None]:
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:  # under one name, since "auto" becomes a metric
            return {"": self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best(self, paths: dict[str, str | None]) -> None:
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[""]
        else:
            self.best_ckpt_path_dict = paths

    def _in_own_folder(self, path: str | None) -> str | None:
        """A file by its name in this run's folder, never that of the run it was copied from."""
        return path and self.file_backend.join_path(self.out_dir, Path(path).name)

    def _remove(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _point_to(self, runner: Runner, checkpoint: str | Path) -> None:
        write_text(Path(runner.work_dir) / POINTER, str(checkpoint))
        self._link(runner, LAST, checkpoint)

    def _link_best(self, runner: Runner) -> None:
        first = next(iter(self._best().values()), None)
        if first and is_main_process():
            self._link(runner, BEST, first)

    def _link(self, runner: Runner, name: str, checkpoint: str | Path) -> None:
        if Path(checkpoint).is_file():  # not one of a remote backend, or one that is gone
            link_file(Path(runner.work_dir) / name, Path(checkpoint))


@HOOKS.register_module()
class TopKCheckpointHook(Hook):
    """Keep the ``k`` checkpoints with the best validation metric, best first in a list on disk.

    ``top_checkpoints.json`` in the work dir names them with score and epoch, and a resumed run goes
    on with it; where it was lost, with the list that the checkpoint holds. Only files on that list
    are ever deleted, and only after the better one is whole and listed. Weights alone are kept,
    those of the average where there is one; ``AtomicCheckpointHook`` keeps what a run resumes from.

    Args:
        k: Number of checkpoints.
        monitor: Name of the metric.
        rule: ``"greater"`` or ``"less"``: which is better.

    Raises:
        ValueError: An option out of its range, or a validation without the metric.
    """

    priority = "VERY_LOW"  # after the averaged weights were put back, as CheckpointHook

    def __init__(self, k: int = 3, monitor: str = "coco/AP", rule: str = "greater") -> None:
        if k < 1:
            raise ValueError(f"expected k of at least 1, got {k}")
        if rule not in ("greater", "less"):
            raise ValueError(f"expected the rule 'greater' or 'less', got {rule!r}")
        self.k = k
        self.monitor = monitor
        self.rule = rule

    def before_train(self, runner: Runner) -> None:
        """Begin with an empty list, or that of the run that goes on."""
        folder = Path(runner.work_dir)
        top = read_top(folder) if runner._resume else []
        if top is None:
            top = msgspec.convert(runner.message_hub.get_info(TOP, []), list[TopCheckpoint])
            if top:
                runner.logger.warning(f"{TOP_LIST} is missing or damaged: as in the checkpoint")
        if is_main_process() and (top or (folder / TOP_LIST).is_file()):
            write_top(folder, top)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the checkpoint if it is among the best, and delete the one that it displaces."""
        metrics = metrics or {}
        if self.monitor not in metrics:
            raise ValueError(
                f"expected the metric {self.monitor!r} in validation, got {sorted(metrics)}; set "
                "the monitor of TopKCheckpointHook to one of them"
            )
        folder = Path(runner.work_dir)
        score, epoch = float(metrics[self.monitor]), int(runner.epoch)
        file = f"top_{self.monitor.replace('/', '_')}_epoch_{epoch}.pth"
        known = [each for each in read_top(folder) or () if (folder / each.file).is_file()]
        # an epoch that is validated again has one score, the new one
        others = [each for each in known if each.file != file]
        kept = self._ranked([*others, TopCheckpoint(file, score, epoch)])[: self.k]
        rank = next((i for i, each in enumerate(kept, 1) if each.file == file), None)
        if rank is not None:
            runner.save_checkpoint(
                str(folder),
                filename=file,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(epoch=runner.epoch, iter=runner.iter),
                by_epoch=False,
            )
            runner.logger.info(
                f"{file} with {self.monitor} {score:.4f} is number {rank} of the best"
            )
        runner.message_hub.update_info(TOP, msgspec.to_builtins(kept))
        displaced = {each.file for each in known} - {each.file for each in kept}
        if is_main_process() and (rank is not None or displaced):
            write_top(folder, [*kept, *(each for each in known if each.file in displaced)])
            for gone in displaced:
                (folder / gone).unlink(missing_ok=True)
            write_top(folder, kept)

    def _ranked(self, checkpoints: list[TopCheckpoint]) -> list[TopCheckpoint]:
        """Best first, of equal ones the newer; a score that is no number is none."""
        sign = -1 if self.rule == "greater" else 1
        real = [each for each in checkpoints if not math.isnan(each.score)]
        return sorted(real, key=lambda each: (sign * each.score, -each.epoch))


@HOOKS.register_module()
class ValidationStateHook(Hook):
    """Have a resumed run stop, and validate, as the uninterrupted one.

    A checkpoint, which is written before the validation of its step, holds the last validated step,
    so that a resumed run does the validation that it owes, and count and best value of each
    ``EarlyStoppingHook``, which MMEngine keeps in memory alone. Needs ``AtomicCheckpointHook``,
    which writes the checkpoint again after the validation.
    """

    priority = "LOWEST"  # after the hooks that get ready for training and count validations

    def __init__(self) -> None:
        self._validated_iter = -1
        self._loaded: dict[str, Any] = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the state."""
        checkpoint[VALIDATION] = dict(
            iter=self._validated_iter,
            early_stopping=[
                dict(wait_count=h.wait_count, best_score=float(h.best_score), patience=h.patience)
                for h in _early_stopping(runner)
            ],
            stopped=bool(getattr(runner.train_loop, "stop_training", False)),
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the state of a checkpoint that the run is resumed from."""
        if runner._resume:
            self._loaded = checkpoint.get(VALIDATION, {})

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
        elif self._validated_iter != runner.iter and _is_validated_here(runner):
            runner.logger.info(f"Validating epoch {runner.epoch}, which the last start did not end")
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Remember the step."""
        self._validated_iter = runner.iter


def _is_validated_here(runner: Runner) -> bool:
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
