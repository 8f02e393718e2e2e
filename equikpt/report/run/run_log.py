"""The text log of one start of a run: when each row was logged, and how far the run goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - \S+ - [A-Z]+ - (.*)")
PLACE = re.compile(
    r"(?:Epoch|Iter)\((train|val|test)\)\s*(?:\[\s*(?P<epoch>\d+)\])?\[\s*(\d+)/(\d+)\]"
)
RESUMED = re.compile(r"resumed epoch: \d+, iter: (\d+)")
SAVED = re.compile(r"Saving checkpoint at (\d+) (epochs|iterations)")


@dataclass
class RunLog:
    """What MMEngine's log says beside the scalars.

    Times are those of the machine that trained, without a zone.

    Args:
        begin: Time of the first line; None for an empty log.
        end: Time of the last line.
        train_times: Time of the row of each logged step, counted over the whole run from 1.
        val_times: When each validation ended, in order.
        steps_per_epoch: None where the log counts steps only.
        resumed_step: The step after which a resumed start goes on; None for a fresh one.
        saved_step: The step after which the last checkpoint was written; None before the first.
        place: Loop and place of the newest progress line: ``("val", 10, 22)``.
        gaps_s: Seconds from line to line, from the first progress line on.
        is_test: A test wrote it.
    """

    begin: datetime | None = None
    end: datetime | None = None
    train_times: dict[int, datetime] = field(default_factory=dict)
    val_times: list[datetime] = field(default_factory=list)
    steps_per_epoch: int | None = None
    resumed_step: int | None = None
    saved_step: int | None = None
    place: tuple[str, int, int] | None = None
    gaps_s: list[float] = field(default_factory=list)
    is_test: bool = False


def read_log(path: Path) -> RunLog:
    """Read a log that may still be written; a file that is not there is an empty log."""
    log = RunLog()
    for time, message in _lines(path):
        if log.place is not None and log.end is not None:
            log.gaps_s.append((time - log.end).total_seconds())
        log.begin = log.begin or time
        log.end = time
        if resumed := RESUMED.match(message):
            log.resumed_step = int(resumed[1])
        if saved := SAVED.match(message):
            steps_each = log.steps_per_epoch if saved[2] == "epochs" else 1
            log.saved_step = int(saved[1]) * steps_each if steps_each else None
        if found := PLACE.match(message):
            _note(log, time, found, message)
    return log


def _note(log: RunLog, time: datetime, found: re.Match, message: str) -> None:
    loop, inner, length = found[1], int(found[3]), int(found[4])
    log.place = (loop, inner, length)
    if loop == "test":
        log.is_test = True
    elif loop == "train":
        step = inner
        if found["epoch"] is not None:
            log.steps_per_epoch = length
            step += (int(found["epoch"]) - 1) * length
        log.train_times[step] = time
    elif inner == length and "eta: " not in message:  # lines on the way tell the time left
        log.val_times.append(time)


def _lines(path: Path) -> Iterator[tuple[datetime, str]]:
    """Time and message of each line that has both; a dumped config has neither."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := LINE.match(line):
                yield datetime.strptime(found[1], "%Y/%m/%d %H:%M:%S"), found[2]
