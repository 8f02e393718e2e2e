"""One start of a run: the rows that it logged and the span of steps that it covers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from equikpt.report.run.run_log import RunLog, read_log

TIMES = ("time", "data_time")
"""What MMEngine adds to a row of a training step and of a validation alike."""

Row = dict[str, Any]


@dataclass
class Session:
    """One start.

    Args:
        folder: ``<work dir>/<date>_<time>``.
        log: Its text log.
        train: Rows of training, ``step`` counted over the whole run from 1.
        val: Rows of validation; ``after_step`` is the last training row's step before it.
        unreadable: Lines of the scalars that are no JSON, beside a half-written last one.
    """

    folder: Path
    log: RunLog
    train: list[Row]
    val: list[Row]
    unreadable: int

    @property
    def is_training(self) -> bool:
        """Not what a test left beside the starts of a training."""
        tested = self.log.is_test or any(self.folder.glob("*.json"))
        return bool(self.train or self.val) or not tested

    @property
    def begin(self) -> datetime:
        """When it was started, by the clock of the machine that trained."""
        return datetime.strptime(self.folder.name, "%Y%m%d_%H%M%S")

    @property
    def end(self) -> datetime:
        """When it wrote its last line; without a log what its steps took."""
        if self.log.end is not None:
            return self.log.end
        step_s = self.train[-1].get("time", 0.0) if self.train else 0.0
        return self.begin + timedelta(seconds=step_s * self.steps)

    @property
    def resumed(self) -> bool:
        """Whether it went on where an earlier start had stopped."""
        return self.steps_before > 0

    @property
    def steps_before(self) -> int:
        """Steps of the run before this start.

        Without a log the distance between two rows tells how many steps the first row covers.
        """
        if self.log.resumed_step is not None:
            return self.log.resumed_step
        if self.log.begin is not None or len(self.train) < 2:
            return 0
        first, second = (row["step"] for row in self.train[:2])
        return max(0, first - (second - first))

    @property
    def last_step(self) -> int:
        """The last step that was logged; without one the step that it began after."""
        return self.train[-1]["step"] if self.train else self.steps_before

    @property
    def steps(self) -> int:
        """Steps of this start that were logged."""
        return self.last_step - self.steps_before

    def files(self) -> list[Path]:
        """What it has written."""
        found = (*self.folder.iterdir(), *self.folder.glob("vis_data/*"))
        return [path for path in found if path.is_file()]


def read_session(folder: Path) -> Session:
    """Read a start, of which the last line may be half written."""
    rows, unreadable = _read_scalars(folder / "vis_data" / "scalars.json")
    train: list[Row] = []
    val: list[Row] = []
    for row in rows:
        if "iter" in row:
            train.append(row)
        elif any(name in row for name in TIMES):  # any other row is a single scalar of some hook
            val.append(row | {"after_step": train[-1]["step"] if train else 0})
    return Session(folder, read_log(folder / f"{folder.name}.log"), train, val, unreadable)


def _read_scalars(path: Path) -> tuple[list[Row], int]:
    """The rows of a file with one JSON a line, and how many lines are none."""
    if not path.is_file():
        return [], 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows: list[Row] = []
    unreadable = 0
    for number, line in enumerate(lines, 1):
        try:
            rows.append({_plain(name): value for name, value in json.loads(line).items()})
        except (json.JSONDecodeError, AttributeError):
            unreadable += number < len(lines)
    return rows, unreadable


def _plain(name: str) -> str:
    """The name without the prefix that ``log_with_hierarchy`` adds."""
    return name.removeprefix("train/").removeprefix("val/")
