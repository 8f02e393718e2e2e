"""Keep the best few checkpoints of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.compat.work_dir import TOP_LIST, top_rows
from equikpt.core.files import write_text

HUB_NAME = "top_checkpoints"
"""Key of the list in a checkpoint's message hub."""


class Kept(NamedTuple):
    """A checkpoint that was written: its file name, score and epoch."""

    file: str
    score: float
    epoch: int


@HOOKS.register_module()
class TopKCheckpointHook(Hook):
    """Keep the ``k`` checkpoints with the best validation metric, best first in a list on disk.

    ``top_checkpoints.json`` in the work dir names them with score and epoch, and a resumed run goes
    on with it; where it was lost, with the list that the checkpoint holds. Only files on that list
    are ever deleted, and only after the better one is whole and listed. Weights alone are kept,
    those of the average where there is one; ``AtomicCheckpointHook`` keeps what a run resumes from.

    Args:
        k: How many.
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
        rows = top_rows(folder) if runner._resume else []
        if rows is None:
            rows = runner.message_hub.get_info(HUB_NAME, [])
            if rows:
                runner.logger.warning(f"{TOP_LIST} is missing or damaged: as in the checkpoint")
        if is_main_process() and (rows or (folder / TOP_LIST).is_file()):
            write_list(folder, [Kept(**row) for row in rows])

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
        known = read_list(folder)
        # an epoch that is validated again has one score, the new one
        ranked = self._ranked([*(k for k in known if k.file != file), Kept(file, score, epoch)])
        kept = ranked[: self.k]
        is_kept = any(each.file == file for each in kept)  # never where the score is no number
        if is_kept:
            runner.save_checkpoint(
                str(folder),
                filename=file,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(epoch=runner.epoch, iter=runner.iter),
                by_epoch=False,
            )
        runner.message_hub.update_info(HUB_NAME, [each._asdict() for each in kept])
        displaced = {each.file for each in known} - {each.file for each in kept}
        if is_main_process() and (is_kept or displaced):
            write_list(folder, [*kept, *(each for each in known if each.file in displaced)])
            for gone in displaced:
                (folder / gone).unlink(missing_ok=True)
            write_list(folder, kept)
        if is_kept:
            place = [each.file for each in kept].index(file) + 1
            runner.logger.info(
                f"{file} with {self.monitor} {score:.4f} is number {place} of the best"
            )

    def _ranked(self, checkpoints: list[Kept]) -> list[Kept]:
        """Best first, of equal ones the earlier; a score that is no number is none."""
        sign = -1 if self.rule == "greater" else 1
        real = [kept for kept in checkpoints if kept.score == kept.score]
        return sorted(real, key=lambda kept: (sign * kept.score, kept.epoch))


def read_list(folder: Path) -> list[Kept]:
    """Read the list of a work dir, best first, without what is no longer there."""
    listed = [Kept(**row) for row in top_rows(folder) or ()]
    return [kept for kept in listed if (folder / kept.file).is_file()]


def write_list(folder: Path, checkpoints: list[Kept]) -> None:
    """Write the list, all at once."""
    rows = [kept._asdict() for kept in checkpoints]
    write_text(folder / TOP_LIST, json.dumps(rows, indent=1) + "\n")
