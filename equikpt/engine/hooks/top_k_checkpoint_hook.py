"""Keep the best few checkpoints of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS

from equikpt.files import write_text

LIST_NAME = "top_checkpoints.json"


class Kept(NamedTuple):
    """A checkpoint that was written: its file name, score and epoch."""

    file: str
    score: float
    epoch: int


@HOOKS.register_module()
class TopKCheckpointHook(Hook):
    """Keep the ``k`` checkpoints with the best validation metric, best first in a list on disk.

    ``top_checkpoints.json`` in the work dir names them with score and epoch; it is all that the
    hook remembers, so a resumed run goes on with it. Only files on that list are ever deleted, and
    only after the better one is whole. Weights alone are kept, those of the average where there is
    one; ``CheckpointHook`` keeps what a run resumes from.

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
        others = [kept for kept in known if kept.file != file]
        ranked = self._ranked([*others, Kept(file, score, epoch)])[: self.k]
        if all(kept.file != file for kept in ranked):  # also where the score is no number
            return
        runner.save_checkpoint(
            str(folder),
            filename=file,
            save_optimizer=False,
            save_param_scheduler=False,
            meta=dict(epoch=runner.epoch, iter=runner.iter),
            by_epoch=False,
        )
        if is_main_process():
            write_list(folder, ranked)
            for gone in set(known) - set(ranked):
                if gone.file != file:
                    (folder / gone.file).unlink(missing_ok=True)
        place = [kept.file for kept in ranked].index(file) + 1
        runner.logger.info(f"{file} with {self.monitor} {score:.4f} is number {place} of the best")

    def _ranked(self, checkpoints: list[Kept]) -> list[Kept]:
        """Best first, of equal ones the earlier; a score that is no number is none."""
        sign = -1 if self.rule == "greater" else 1
        real = [kept for kept in checkpoints if kept.score == kept.score]
        return sorted(real, key=lambda kept: (sign * kept.score, kept.epoch))


def read_list(folder: Path) -> list[Kept]:
    """What the list in a work dir names and what is still there, best first."""
    path = folder / LIST_NAME
    if not path.is_file():
        return []
    rows = [Kept(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    return [kept for kept in rows if (folder / kept.file).is_file()]


def write_list(folder: Path, checkpoints: list[Kept]) -> None:
    """Write the list, all at once."""
    rows = [kept._asdict() for kept in checkpoints]
    write_text(folder / LIST_NAME, json.dumps(rows, indent=1) + "\n")
