"""The folder of a run as tables: steps, validations, starts, checkpoints.

MMEngine makes a folder a start (``<date>_<time>/``) with ``vis_data/scalars.json``, one JSON a
line; ``RunRecordHook`` writes ``run.json``. A resumed run has several starts; their rows are joined
here into one course.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mmengine.config import Config

from equikpt.compat.work_dir import complete, newest_complete, read_top
from equikpt.engine.run_record import FILE, StartRecord, read_record
from equikpt.report.run.run_session import Row, Session, read_session
from equikpt.report.run.validation_losses import undo_mean
from equikpt.report.saved_config import read_saved_config

START = re.compile(r"\d{8}_\d{6}")
TRAIN_COLUMNS = ("step", "epoch", "iter", "wall_s")
VAL_COLUMNS = ("epoch", "step", "wall_s")
NO_RECORD = (
    "there is no run.json, which RunRecordHook writes: times are those of the steps alone, and the "
    "progress of a validation, machine and versions are not known"
)
SESSION_COLUMNS = ("folder", "begin", "end", "last_step", "steps", "resumed")


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoint files of a run that are there, those that are cut off left out.

    Args:
        newest: Where a resumed run goes on.
        best: ``best_*`` files, newest first.
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
        name: Its last part.
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


def read_run(folder: Path | str) -> Run:
    """Read a work dir, of a run that goes on, was killed or is over.

    The rows of a later start replace those of an earlier one from its first step on; a start that
    did not resume replaces all. A last line that is half written is left out.

    Raises:
        FileNotFoundError: No such folder, or no start of a training in it.
    """
    folder = Path(folder)
    sessions = _sessions(folder)
    per_epoch = _steps_per_epoch(sessions)
    config, config_gaps = _config(folder, sessions)
    train, val = _joined(sessions, per_epoch, config)
    newest = sessions[-1]
    return Run(
        folder=folder,
        name=folder.resolve().name,
        config=config,
        train=_frame(train, TRAIN_COLUMNS),
        val=_frame(val, VAL_COLUMNS),
        sessions=pd.DataFrame(
            [[getattr(each, name) for name in SESSION_COLUMNS] for each in sessions],
            columns=list(SESSION_COLUMNS),
        ),
        checkpoints=_checkpoints(folder),
        record=newest.record,
        steps_per_epoch=per_epoch,
        active_s=max(_modified_s(path) for path in (newest.folder, *newest.files(), folder / FILE)),
        unreadable_rows=sum(session.unreadable for session in sessions),
        config_gaps=config_gaps,
    )


def _sessions(folder: Path) -> list[Session]:
    """The starts of a training in their order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"expected the work dir of a run, found no folder {folder}")
    records = {each.folder: each for each in read_record(folder).starts}
    starts = [path for path in sorted(folder.iterdir()) if START.fullmatch(path.name)]
    found = [read_session(path, records.get(path.name)) for path in starts]
    sessions = [session for session in found if session.is_training]
    if sessions:
        return sessions
    below = sorted(path.parents[2] for path in folder.glob("*/*/vis_data/scalars.json"))
    hint = f"did you mean {below[0]}?" if below else "give the work dir of a training"
    raise FileNotFoundError(
        f"expected the folder <date>_<time> of a training in {folder}, found none; {hint}"
    )


def _steps_per_epoch(sessions: list[Session]) -> int | None:
    """Recorded length of an epoch, else the distance between the first rows of two epochs."""
    known = [each.record for each in sessions if each.record is not None]
    if known:
        return known[-1].steps_per_epoch
    firsts: dict[int, int] = {}
    for row in (row for session in sessions for row in session.train if "epoch" in row):
        firsts.setdefault(row["epoch"], row["step"])
    if len(firsts) < 2:
        return None
    first, last = min(firsts), max(firsts)
    return (firsts[last] - firsts[first]) // (last - first)


def _joined(
    sessions: list[Session], per_epoch: int | None, config: Config | None
) -> tuple[list[Row], list[Row]]:
    """Join the rows of all starts as one course, with ``wall_s``; a start without any is none."""
    by_epoch = any("epoch" in row for session in sessions for row in session.train)
    train: list[Row] = []
    val: list[Row] = []
    before_s = 0.0
    for session in sessions:
        if not session.train and not session.val:
            continue
        for row in session.val:
            _place_validation(row, per_epoch, by_epoch)
        if not session.resumed:  # it replaces all, and the time that went into it
            before_s = 0.0
        _add_seconds(session, before_s)
        # a checkpoint is written before the validation of its step
        undo_mean(session.val, [r for r in val if r["step"] < session.steps_before], config)
        train = [row for row in train if row["step"] <= session.steps_before] + session.train
        again = {
            row["step"] for row in session.val
        }  # the last one, if that start was cut off in it
        val = [r for r in val if r["step"] <= session.steps_before and r["step"] not in again]
        val += session.val
        before_s += session.seconds
    return train, val


def _place_validation(row: Row, per_epoch: int | None, by_epoch: bool) -> None:
    """Give a validation's row, whose ``step`` may be an epoch, epoch and step of the run."""
    after, logged = row.pop("after_step"), row["step"]
    if by_epoch:
        row["epoch"] = logged
        row["step"] = logged * per_epoch if per_epoch else after
    else:
        row["step"] = max(logged, after)


def _add_seconds(session: Session, before_s: float) -> None:
    """Add ``wall_s``: steps take what was logged, counted anew from each recorded validation on."""
    record = session.record
    ends = {step: end_s for step, _, end_s in record.validations} if record else {}
    seconds = record.training_s if record else 0.0
    waiting = sorted(ends.items())
    for row, steps in session.covered():
        counted = row["step"] - steps
        while waiting and waiting[0][0] < row["step"]:
            step, end_s = waiting.pop(0)
            seconds, counted = max(seconds, end_s), max(counted, step)
        seconds += row.get("time", 0.0) * (row["step"] - counted)
        row["wall_s"] = before_s + seconds
    for row in session.val:
        done = [each["wall_s"] for each in session.train if each["step"] <= row["step"]]
        row["wall_s"] = done[-1] if done else before_s
        if row["step"] in ends:
            row["wall_s"] = before_s + ends[row["step"]]


def _frame(rows: list[Row], columns: tuple[str, ...]) -> pd.DataFrame:
    """A table whose first columns are always there, in this order."""
    logged = dict.fromkeys(name for row in rows for name in row if name not in columns)
    frame = pd.DataFrame(rows, columns=[*columns, *logged])
    return frame.astype({"step": int, "epoch": float, "wall_s": float})


def _config(folder: Path, sessions: list[Session]) -> tuple[Config | None, tuple[str, ...]]:
    """The config that the newest start dumped, else the newest one in the work dir."""
    dumped = [session.folder / "vis_data" / "config.py" for session in reversed(sessions)]
    for path in (*dumped, *_newest_first(folder.glob("*.py"))):
        try:
            return read_saved_config(path)
        except (FileNotFoundError, ValueError):  # no dump, or half of one
            continue
    return None, ()


def _checkpoints(folder: Path) -> Checkpoints:
    top = [folder / each.file for each in read_top(folder) or ()]
    return Checkpoints(
        newest_complete(folder),
        tuple(complete(_newest_first(folder.glob("best_*.pth")))),
        tuple(complete(top)),
    )


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=_modified_s, reverse=True)


def _modified_s(path: Path) -> float:
    """Seconds since 1970; 0 for a file that a running training has just replaced."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
