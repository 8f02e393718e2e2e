"""The folder of a run as tables: steps, validations, starts, checkpoints.

MMEngine makes a folder a start (``<date>_<time>/``) with ``vis_data/scalars.json``, one JSON a
line; ``RunRecordHook`` writes ``run.json``. A resumed run has several starts; their rows are joined
here into one course.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from mmengine.config import Config

from equikpt.compat.work_dir import complete, newest_complete, read_top
from equikpt.core.project import BEST, find_work_dir, name_of
from equikpt.engine.run_record import FILE, StartRecord, read_record
from equikpt.report.run.saved_config import in_its_project, read_saved_config
from equikpt.report.run.validation_losses import TIMES, Row, undo_mean

START = re.compile(r"\d{8}_\d{6}")
TRAIN_COLUMNS = ("step", "epoch", "iter", "wall_s")
VAL_COLUMNS = ("epoch", "step", "wall_s")
SESSION_COLUMNS = ("folder", "begin", "end", "last_step", "steps", "resumed")
NO_RECORD = (
    "there is no run.json, which RunRecordHook writes: times are those of the steps alone, and the "
    "progress of a validation, machine and versions are not known"
)


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoint files of a run that are there, those that are cut off left out.

    Args:
        newest: Where a resumed run goes on.
        best: ``best_*`` files, the one of ``best.pth`` and then the newest first.
        top: Files of ``top_checkpoints.json``, best first.
    """

    newest: Path | None
    best: tuple[Path, ...]
    top: tuple[Path, ...]


@dataclass(frozen=True)
class Run:
    """A run as its folder has it.

    Steps and epochs are counted from 1 over the whole run. ``wall_s`` is the seconds of running
    until a row, pauses between starts left out.

    Args:
        folder: The work dir.
        name: Its last part; of a project's run that of the project.
        config: The config of the newest start, read as data (:mod:`.saved_config`); None where none
            is left.
        train: One row a logged step: ``step``, ``epoch`` (NaN in a run by steps), ``iter``,
            ``wall_s``, then what was logged: ``lr``, ``loss``, ``loss_*``, ``time``,
            ``data_time``, ``grad_norm``, …
        val: One row a validation: ``epoch`` (NaN in a run by steps), ``step``,
            ``wall_s``, then the metrics; losses as they were, not the means that are logged.
        sessions: One row a start: ``folder``, ``begin``, ``end``, ``last_step``, ``steps``,
            ``resumed``.
        checkpoints: Files to go on from or to use.
        record: Entry of the newest start in ``run.json``; None where none was written.
        steps_per_epoch: None in a run by steps, and before the first row.
        active_s: When a file of the newest start was last written, in seconds since 1970.
        unreadable_rows: Lines of the scalars that are no JSON, beside a half-written last one.
        config_gaps: Keys of the config that are left out, since their values are no plain ones.
    """

    folder: Path
    name: str
    config: Config | None
    train: pd.DataFrame
    val: pd.DataFrame
    sessions: pd.DataFrame
    checkpoints: Checkpoints
    record: StartRecord | None
    steps_per_epoch: int | None
    active_s: float
    unreadable_rows: int = 0
    config_gaps: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Sentence on what is unknown without a record; empty with one."""
        return "" if self.record is not None else NO_RECORD

    def setting(self, key: str) -> Any:
        """Value of a dotted key of the config; None where there is none."""
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if hasattr(value, "get") else None
        return value

    def hook(self, name: str) -> Row | None:
        """Options of a hook by its type, ours or MMEngine's; None where the config has none."""
        default, custom = self.setting("default_hooks") or {}, self.setting("custom_hooks") or ()
        types = (name, f"Atomic{name}")
        hooks = (*default.values(), *custom)
        return next((dict(each) for each in hooks if each and each.get("type") in types), None)

    def when(self, step: float) -> str:
        """``epoch 3`` or, in a run by steps, ``step 250``."""
        step, per_epoch = int(step), self.steps_per_epoch
        return f"step {step}" if per_epoch is None else f"epoch {max(1, -(-step // per_epoch))}"


class _Start:
    """One start: the rows that it logged and the span of steps that it covers.

    ``after_step`` of a validation is the last training row's step before it.
    """

    def __init__(self, folder: Path, record: StartRecord | None) -> None:
        self.folder, self.record = folder, record
        self.train: list[Row] = []
        self.val: list[Row] = []
        self.unreadable = 0
        scalars = folder / "vis_data" / "scalars.json"
        text = scalars.read_text(encoding="utf-8", errors="replace") if scalars.is_file() else ""
        self.unreadable = sum([not self._add(line) for line in text.splitlines()][:-1])
        self.begin = datetime.strptime(folder.name, "%Y%m%d_%H%M%S")
        self.steps_before = 0
        if record is not None:
            self.steps_before = record.resumed_step
        elif len(self.train) > 1:  # the distance of two rows tells what the first one covers
            first, second = (row["step"] for row in self.train[:2])
            self.steps_before = max(0, first - (second - first))
        self.resumed = self.steps_before > 0
        self.last_step = self.train[-1]["step"] if self.train else self.steps_before
        self.steps = self.last_step - self.steps_before
        self.seconds = (
            record.seconds
            if record is not None
            else sum(row.get("time", 0.0) * steps for row, steps in self.covered())
        )
        self.end = self.begin + timedelta(seconds=self.seconds)

    def _add(self, line: str) -> bool:
        """Add a line of the scalars; False where it is no JSON."""
        try:  # `log_with_hierarchy` adds prefixes
            row = {
                name.removeprefix("train/").removeprefix("val/"): value
                for name, value in json.loads(line).items()
            }
        except (json.JSONDecodeError, AttributeError):
            return False
        if "iter" in row:
            self.train.append(row)
        elif any(name in row for name in TIMES):  # any other row is a single scalar of some hook
            self.val.append(row | {"after_step": self.train[-1]["step"] if self.train else 0})
        return True

    def is_training(self) -> bool:
        """Tell a start from a test, which leaves its metrics in a JSON file."""
        tested = any(self.folder.glob("*.json"))
        return self.record is not None or bool(self.train or self.val) or not tested

    def covered(self) -> list[tuple[Row, int]]:
        """Pair each training row with the number of steps since the one before it."""
        earlier = [self.steps_before, *(row["step"] for row in self.train)]
        return [(row, row["step"] - last) for row, last in zip(self.train, earlier, strict=False)]


def read_run(folder: Path | str) -> Run:
    """Read the work dir of a run or a project, of a run that goes on, was killed or is over.

    The rows of a later start replace those of an earlier one from its first step on; a start that
    did not resume replaces all. A last line that is half written is left out.

    Raises:
        FileNotFoundError: No such folder, or no start of a training in it.
    """
    folder = find_work_dir(folder)
    starts = _starts(folder)
    newest, per_epoch = starts[-1], _steps_per_epoch(starts)
    config, config_gaps = _config(folder, starts)
    train, val = _joined(starts, per_epoch, config)
    files = (newest.folder, *newest.folder.iterdir(), *newest.folder.glob("vis_data/*"))
    return Run(
        folder=folder,
        name=name_of(folder),
        config=config,
        train=_frame(train, TRAIN_COLUMNS),
        val=_frame(val, VAL_COLUMNS),
        sessions=pd.DataFrame(
            [[getattr(each, name) for name in SESSION_COLUMNS] for each in starts],
            columns=list(SESSION_COLUMNS),
        ),
        checkpoints=Checkpoints(
            newest_complete(folder),
            tuple(complete(_best_first(folder))),
            tuple(complete(folder / each.file for each in read_top(folder) or ())),
        ),
        record=newest.record,
        steps_per_epoch=per_epoch,
        active_s=max(_modified_s(path) for path in (*files, folder / FILE)),
        unreadable_rows=sum(start.unreadable for start in starts),
        config_gaps=config_gaps,
    )


def _starts(folder: Path) -> list[_Start]:
    """The starts of a training in their order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"expected the work dir of a run, found no folder {folder}")
    records = {each.folder: each for each in read_record(folder).starts}
    paths = [path for path in sorted(folder.iterdir()) if START.fullmatch(path.name)]
    starts = [_Start(path, records.get(path.name)) for path in paths]
    if trained := [start for start in starts if start.is_training()]:
        return trained
    below = sorted(path.parents[2] for path in folder.glob("*/*/vis_data/scalars.json"))
    hint = f"did you mean {below[0]}?" if below else "give the work dir of a training"
    raise FileNotFoundError(
        f"expected the folder <date>_<time> of a training in {folder}, found none; {hint}"
    )


def _steps_per_epoch(starts: Sequence[_Start]) -> int | None:
    """Recorded length of an epoch, else the distance between the first rows of two epochs."""
    known = [start.record for start in starts if start.record is not None]
    if known:
        return known[-1].steps_per_epoch
    firsts: dict[int, int] = {}
    for row in (row for start in starts for row in start.train if "epoch" in row):
        firsts.setdefault(row["epoch"], row["step"])
    if len(firsts) < 2:
        return None
    first, last = min(firsts), max(firsts)
    return (firsts[last] - firsts[first]) // (last - first)


def _joined(
    starts: Sequence[_Start], per_epoch: int | None, config: Config | None
) -> tuple[list[Row], list[Row]]:
    """Join the rows of all starts as one course, with ``wall_s``; a start without any is none."""
    by_epoch = any("epoch" in row for start in starts for row in start.train)
    train: list[Row] = []
    val: list[Row] = []
    before_s = 0.0
    for start in starts:
        if not start.train and not start.val:
            continue
        for row in start.val:  # its `step` may be an epoch
            after, logged = row.pop("after_step"), row["step"]
            row["step"] = max(logged, after)
            if by_epoch:
                row |= {"epoch": logged, "step": logged * per_epoch if per_epoch else after}
        if not start.resumed:  # it replaces all, and the time that went into it
            before_s = 0.0
        _add_seconds(start, before_s)
        before = start.steps_before
        # a checkpoint is written before the validation of its step
        undo_mean(start.val, [row for row in val if row["step"] < before], config)
        again = {row["step"] for row in start.val}  # the last, if that start was cut off in it
        val = [row for row in val if row["step"] <= before and row["step"] not in again]
        train = [row for row in train if row["step"] <= before] + start.train
        val += start.val
        before_s += start.seconds
    return train, val


def _add_seconds(start: _Start, before_s: float) -> None:
    """Add ``wall_s``: steps take what was logged, counted anew from each recorded validation on."""
    record = start.record
    ends = {step: end_s for step, _, end_s in record.validations} if record else {}
    seconds = record.training_s if record else 0.0
    waiting = sorted(ends.items())
    for row, steps in start.covered():
        counted = row["step"] - steps
        while waiting and waiting[0][0] < row["step"]:
            step, end_s = waiting.pop(0)
            seconds, counted = max(seconds, end_s), max(counted, step)
        seconds += row.get("time", 0.0) * (row["step"] - counted)
        row["wall_s"] = before_s + seconds
    for row in start.val:
        done = [each["wall_s"] for each in start.train if each["step"] <= row["step"]]
        row["wall_s"] = done[-1] if done else before_s
        if row["step"] in ends:
            row["wall_s"] = before_s + ends[row["step"]]


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    """A table whose first columns are always there, in this order."""
    logged = dict.fromkeys(name for row in rows for name in row if name not in columns)
    frame = pd.DataFrame(rows, columns=[*columns, *logged])
    return frame.astype({"step": int, "epoch": float, "wall_s": float})


def _config(folder: Path, starts: Sequence[_Start]) -> tuple[Config | None, tuple[str, ...]]:
    """The config that the newest start dumped, else the newest one in the work dir."""
    dumped = [start.folder / "vis_data" / "config.py" for start in reversed(starts)]
    for path in (*dumped, *_newest_first(folder.glob("*.py"))):
        try:
            config, gaps = read_saved_config(path)
            return in_its_project(config, folder), gaps
        except (FileNotFoundError, ValueError):  # no dump, or half of one
            continue
    return None, ()


def _best_first(folder: Path) -> list[Path]:
    files = _newest_first(folder.glob("best_*.pth"))
    named = folder / BEST
    alone = [named] if named.is_file() and not files else []  # copied without the others
    target = named.resolve().name
    return [*alone, *sorted(files, key=lambda path: path.name != target)]


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=_modified_s, reverse=True)


def _modified_s(path: Path) -> float:
    """Seconds since 1970; 0 for a file that a running training has just replaced."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
