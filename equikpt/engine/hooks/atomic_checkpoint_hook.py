"""Keep the newest and the best checkpoints so that a kill at any moment leaves the right ones."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.compat import work_dir
from equikpt.core.files import write_text


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, in which an old file goes once its successor is whole.

    - The stock class deletes the best checkpoint, and the oldest of ``max_keep_ckpts``, before it
      writes the next one.
    - What a validation changes (plateau schedules, the best score, what other hooks count) is part
      of the checkpoint of that step, which is written again after each validation. The stock class
      does so only after a new best, and before all hooks have counted. After a new best there is
      always such a checkpoint, so that no best one stands alone in a folder.
    - A resumed run goes on with the files of its own folder, though it was moved or copied.
    - One training at a time writes to a folder; what a killed one left half written is swept.

    That each file is whole is the work of :mod:`equikpt.compat.safe_save`. Options are the base
    class's.
    """

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
        if not runner._resume or runner.iter == 0:
            return
        self._saved_step = runner.epoch if self.by_epoch else runner.iter
        self.last_ckpt = self._in_own_folder(runner.message_hub.get_info("last_ckpt", None))
        resumed = Path(runner._load_from or "")
        if is_main_process() and resumed.resolve().parent == Path(self.out_dir).resolve():
            self._point_to(runner, resumed)  # the run may have been taken back to it

    def after_val(self, runner: Runner) -> None:
        """Write the checkpoint of this step again, with what the validation has changed."""
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
        for key, path in before.items():
            if path and new[key] not in (None, path):
                self._remove(path)
                runner.logger.info(f"The previous best checkpoint {path} is removed")

    def _best(self) -> dict[str, str | None]:
        """The best checkpoint of each metric."""
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
        write_text(Path(runner.work_dir) / work_dir.POINTER, str(checkpoint))
