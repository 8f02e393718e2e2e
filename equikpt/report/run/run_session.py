"""One start of a run: the rows that it logged and the span of steps that it covers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from equikpt.engine.run_record import StartRecord

TIMES = ("time", "data_time")
"""Columns that MMEngine adds to a row of a training step and of a validation alike."""

Row = dict[str, Any]


@dataclass
class Session:
    """One start.

    Args:
        folder: ``<work dir>/<date>_<time>``.
        record: Entry of ``run.json``; None where none was written.
        train: Rows of training, ``step`` counted over the whole run from 1.
        val: Rows of validation; ``after_step`` is the last training row's step before it.
        unreadable: Lines of the scalars that are no JSON, beside a half-written last one.
    """

    folder: Path
    record: StartRecord | None
    train: list[Row]
    val: list[Row]
    unreadable: int

    @property
    def is_training(self) -> bool:
        """Tell a start from a test, which leaves its metrics in a JSON file."""
        tested = any(self.folder.glob("*.json"))
        return self.record is not None or bool(self.train or self.val) or not tested

    @property
    def begin(self) -> datetime:
        """Time of the start by the clock of the machine that trained."""
        return datetime.strptime(self.folder.name, "%Y%m%d_%H%M%S")

    @property
    def seconds(self) -> float:
        """Duration until its newest write; without a record that of its steps alone."""
        if self.record is not None:
            return self.record.seconds
        return sum(row.get("time", 0.0) * steps for row, steps in self.covered())

    @property
    def end(self) -> datetime:
        """Time of its newest write."""
        return self.begin + timedelta(seconds=self.seconds)

    @property
    def resumed(self) -> bool:
        """It went on after the steps of an earlier start."""
        return self.steps_before > 0

    @property
    def steps_before(self) -> int:
        """Steps of the run before this start.

        Without a record the distance between two rows tells how many steps the first row covers.
        """
        if self.record is not None:
            return self.record.resumed_step
        if len(self.train) < 2:
            return 0
        first, second = (row["step"] for row in self.train[:2])
        return max(0, first - (second - first))

    @property
    def last_step(self) -> int:
        """Last step that was logged; without one the step that it began after."""
        return self.train[-1]["step"] if self.train else self.steps_before

    @property
    def steps(self) -> int:
        """Number of its steps up to the last logged one."""
        return self.last_step - self.steps_before

    def covered(self) -> list[tuple[Row, int]]:
        """Pair each training row with the number of steps since the one before it."""
        earlier = [self.steps_before, *(row["step"] for row in self.train)]
        return [(row, row["step"] - last) for row, last in zip(self.train, earlier, strict=False)]

    def files(self) -> list[Path]:
        """List its files."""
        found = (*self.folder.iterdir(), *self.folder.glob("vis_data/*"))
        return [path for path in found if path.is_file()]


def read_session(folder: Path, record: StartRecord | None) -> Session:
    """Read a start, of which the last line may be half written."""
    rows, unreadable = _read_scalars(folder / "vis_data" / "scalars.json")
    train: list[Row] = []
    val: list[Row] = []
    for row in rows:
        if "iter" in row:
            train.append(row)
        elif any(name in row for name in TIMES):  # any other row is a single scalar of some hook
            val.append(row | {"after_step": train[-1]["step"] if train else 0})
    return Session(folder, record, train, val, unreadable)


def _read_scalars(path: Path) -> tuple[list[Row], int]:
    """Read the rows of a file with one JSON a line, and count the lines that are none."""
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
    """Strip the prefix that ``log_with_hierarchy`` adds."""
    return name.removeprefix("train/").removeprefix("val/")
