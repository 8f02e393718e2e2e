"""Record of a run's starts beside its curves: ``run.json`` in the work dir, and its hook."""

from __future__ import annotations

import platform
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import mmengine
import msgspec
import torch
import torchvision
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS

from equikpt.core.project import STABLE
from equikpt_runtime.files import write_bytes
from equikpt_runtime.machine import usable_cores

FILE = "run.json"
FORMAT = 1
STAMP = "%Y%m%d_%H%M%S"
"""Form of MMEngine's ``Runner.timestamp``."""


class StartRecord(msgspec.Struct):
    """One start of a run. Steps count over the whole run, seconds from the time in ``folder``.

    Args:
        folder: Name of the start's folder, ``<date>_<time>``.
        resumed_step: Step after which it goes on; 0 for a fresh start.
        training_s: Seconds until its first step.
        step: Steps done.
        seconds: Seconds until the newest write.
        steps_per_epoch: None in a run by steps.
        max_epochs: None in a run by steps.
        max_steps: Step at which the run is over.
        loop: ``"train"`` or ``"val"``, in which it was at the newest write.
        position: Steps or batches done, and their number, of an epoch or a validation.
        validations: Step, seconds at its begin and seconds at its end of each validation.
        longest_gaps_s: The longest silences between two steps or batches, at most two.
        checkpoints: Names of the checkpoint files.
        seed: Of the random generators.
        environment: Machine and versions by title, as they are shown.
    """

    folder: str
    resumed_step: int = 0
    training_s: float = 0.0
    step: int = 0
    seconds: float = 0.0
    steps_per_epoch: int | None = None
    max_epochs: int | None = None
    max_steps: int | None = None
    loop: str = "train"
    position: tuple[int, int] | None = None
    validations: list[tuple[int, float, float]] = msgspec.field(default_factory=list)
    longest_gaps_s: list[float] = msgspec.field(default_factory=list)
    checkpoints: list[str] = msgspec.field(default_factory=list)
    seed: int | None = None
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class RunRecord(msgspec.Struct):
    """Every start of a run in its order."""

    starts: list[StartRecord] = msgspec.field(default_factory=list)
    format: int = FORMAT


def read_record(work_dir: Path) -> RunRecord:
    """Read ``run.json``; a file that is missing, damaged or of another format has no starts."""
    try:
        record = msgspec.json.decode((work_dir / FILE).read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):
        return RunRecord()
    return record if record.format == FORMAT else RunRecord()


def write_record(work_dir: Path, record: RunRecord) -> None:
    """Replace ``run.json`` as a whole.

    Raises:
        OSError: The disk is full, or the folder may not be written.
    """
    write_bytes(work_dir / FILE, msgspec.json.encode(record))


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Write ``run.json`` into the work dir: each start, how far it is and how long it took.

    The first rank writes, whole files only. A record that cannot be written does not end the run.

    Args:
        interval_s: Minimum seconds between two writes within an epoch or a validation; their begin
            and end are written at once.

    Raises:
        ValueError: A negative interval.
    """

    priority = "LOWEST"  # after the checkpoint of the same step

    def __init__(self, interval_s: float = 10.0) -> None:
        if not interval_s >= 0:
            raise ValueError(f"expected interval_s of 0 or more, got {interval_s}")
        self.interval_s = interval_s
        self._record = RunRecord()
        self._start: StartRecord | None = None
        self._begin_s = self._written_s = 0.0
        self._beat_s: float | None = None
        self._validation_s = 0.0
        self._is_failed = False

    def before_train(self, runner: Runner) -> None:
        """Add this start to those that are recorded."""
        if not is_main_process():
            return
        began = datetime.strptime(runner.timestamp, STAMP)
        self._begin_s = time.monotonic() - (datetime.now() - began).total_seconds()
        self._beat_s = None
        loop = runner.train_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        self._start = StartRecord(
            runner.timestamp,
            resumed_step=runner.iter,
            training_s=self._seconds(),
            step=runner.iter,
            steps_per_epoch=len(loop.dataloader) if by_epoch else None,
            max_epochs=loop.max_epochs if by_epoch else None,
            max_steps=loop.max_iters,
            seed=runner.seed,
            environment=_environment(runner),
        )
        earlier = read_record(Path(runner.work_dir)).starts
        starts = [each for each in earlier if each.folder != runner.timestamp]
        self._record = RunRecord([*starts, self._start])
        self._write(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Any = None
    ) -> None:
        """Count a step."""
        if self._start is not None:
            self._start.step = runner.iter + 1
            length = self._start.steps_per_epoch
            done = (batch_idx + 1, length) if length else (runner.iter + 1, runner.max_iters)
            self._beat(runner, "train", done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Record the end of an epoch, or of the training, with its checkpoint."""
        self._write(runner)

    after_train = after_train_epoch

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a validation."""
        if self._start is not None:
            self._validation_s = self._seconds()
            self._start.loop, self._start.position = "val", (0, len(runner.val_dataloader))
            self._write(runner)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs: Any = None
    ) -> None:
        """Count a batch of a validation."""
        if self._start is not None:
            self._beat(runner, "val", (batch_idx + 1, len(runner.val_dataloader)))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Record when the validation began and ended."""
        if self._start is not None:
            self._start.validations.append((runner.iter, self._validation_s, self._seconds()))
            self._write(runner)

    def _seconds(self) -> float:
        return round(time.monotonic() - self._begin_s, 3)

    def _beat(self, runner: Runner, loop: str, position: tuple[int, int]) -> None:
        if self._start is None:
            return
        self._start.loop, self._start.position = loop, position
        now_s = time.monotonic()
        if self._beat_s is not None:
            gaps = [*self._start.longest_gaps_s, round(now_s - self._beat_s, 3)]
            self._start.longest_gaps_s = sorted(gaps)[-2:]
        self._beat_s = now_s
        if now_s - self._written_s >= self.interval_s:
            self._write(runner)

    def _write(self, runner: Runner) -> None:
        if self._start is None:
            return
        folder = Path(runner.work_dir)
        self._start.seconds = self._seconds()
        self._start.checkpoints = sorted({path.name for path in folder.glob("*.pth")} - {*STABLE})
        self._written_s = time.monotonic()
        try:
            write_record(folder, self._record)
        except OSError as error:
            if not self._is_failed:
                runner.logger.warning(f"{error}; the run goes on without a record of its course")
            self._is_failed = True


def _environment(runner: Runner) -> dict[str, str]:
    gpus: dict[str, list[str]] = defaultdict(list)
    for index in range(torch.cuda.device_count()):
        gpus[torch.cuda.get_device_name(index)].append(str(index))
    named = [f"{name} (GPU {','.join(indices)})" for name, indices in gpus.items()]
    facts: dict[str, Any] = {
        "Processor": "; ".join(named) or "CPU, no GPU",
        "Cores": usable_cores(),
        "System": sys.platform,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "TorchVision": torchvision.__version__,
        "OpenCV": cv2.__version__,
        "MMEngine": mmengine.__version__,
    }
    if runner.launcher != "none":
        facts["Processes"] = f"{get_world_size()} by {runner.launcher}"
    return {title: str(value) for title, value in facts.items()}
