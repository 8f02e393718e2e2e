"""Where a run stands, and whether it still goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum

import pandas as pd

from equikpt.report.run.early_stopping import Patience, replay
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import Metric, Plan, hook_options, plan_of, watched_metric

QUIET_S = 60.0
"""A shorter silence says nothing."""
QUIET_AT_FIRST_S = 600.0
"""Before the first row, and in the first validation: nobody knows yet how long they take."""
USUAL_GAPS = 3
"""A silence as long as this many usual ones is a stall."""
KILLED_AFTER = 5
"""After a silence as long as this many stalls nobody writes any more."""


class Status(Enum):
    """State of a run: it goes on, stands still or is over."""

    STARTING = "starting"
    TRAINING = "training"
    VALIDATING = "validating"
    STALLED = "stalled"
    KILLED = "killed"
    STOPPED_EARLY = "stopped early"
    FINISHED = "finished"

    @property
    def is_over(self) -> bool:
        """Nothing more will be written."""
        return self in (Status.KILLED, Status.STOPPED_EARLY, Status.FINISHED)


@dataclass(frozen=True)
class State:
    """A run at one moment.

    Args:
        run: What was read.
        plan: How far it goes.
        status: Whether it goes on.
        silent_s: Seconds since it last wrote.
        step: Steps done, as far as it is known.
        elapsed_s: Seconds of running, pauses between starts left out.
        left_s: Seconds to the end at the recent pace, validations included; None where the end or
            the pace is not known, and when it is over.
        metric: What the best checkpoint is kept by.
        best: The validation with the best value of it.
        patience: The counter of early stopping.
    """

    run: Run
    plan: Plan
    status: Status
    silent_s: float
    step: int
    elapsed_s: float
    left_s: float | None
    metric: Metric | None
    best: pd.Series | None
    patience: Patience | None

    @property
    def epoch(self) -> int | None:
        """The epoch in work, the last one when it is over; None in a run by steps."""
        per_epoch = self.run.steps_per_epoch
        if per_epoch is None:
            return None
        done = self.step // per_epoch
        is_between = self.step % per_epoch == 0 and (
            self.status.is_over or self.status is Status.VALIDATING
        )
        return max(1, done if is_between else done + 1)

    @property
    def phase(self) -> int | None:
        """Index of the phase of ``StageUnfreezeHook``, which counts epochs from 0; None without."""
        options = hook_options(self.run, "StageUnfreezeHook")
        if options is None or self.epoch is None:
            return None
        begins = [phase["begin"] for phase in options["phases"]]
        return sum(begin < self.epoch for begin in begins) - 1


def state_of(run: Run, now_s: float | None = None) -> State:
    """Judge a run.

    Args:
        run: What was read.
        now_s: Seconds since 1970; None: the clock's.
    """
    plan = plan_of(run)
    silent_s = max(0.0, (time.time() if now_s is None else now_s) - run.active_s)
    step = _steps_done(run)
    patience = replay(run)
    status = _status(run, plan, step, patience, silent_s)
    rows = [frame["wall_s"].iloc[-1] for frame in (run.train, run.val) if len(frame)]
    metric = watched_metric(run)
    pace_s = seconds_per_step(run, plan)
    left_s = None
    if pace_s is not None and plan.max_steps is not None and not status.is_over:
        left_s = pace_s * max(0, plan.max_steps - step)
    return State(
        run=run,
        plan=plan,
        status=status,
        silent_s=silent_s,
        step=step,
        elapsed_s=max(rows, default=0.0),
        left_s=left_s,
        metric=metric,
        best=metric.best_row(run.val) if metric else None,
        patience=patience,
    )


def seconds_per_step(run: Run, plan: Plan) -> float | None:
    """Recent pace, with validations and checkpoints in it; None before two rows.

    It looks back over two intervals of validation, and over 20 rows at least.
    """
    if len(run.train) < 2:
        return None
    steps, wall_s = run.train["step"], run.train["wall_s"]
    cycle = 2 * plan.val_interval * (run.steps_per_epoch or 1)
    first = min(int((steps <= steps.iloc[-1] - cycle).sum()), max(0, len(steps) - 20))
    return float((wall_s.iloc[-1] - wall_s.iloc[first]) / (steps.iloc[-1] - steps.iloc[first]))


def _steps_done(run: Run) -> int:
    """Rows end before the epoch does: validations and the record know better."""
    known = [int(frame["step"].max()) for frame in (run.train, run.val) if len(frame)]
    return max([*known, run.record.step if run.record is not None else 0])


def _status(run: Run, plan: Plan, step: int, patience: Patience | None, silent_s: float) -> Status:
    validated = int(run.val["step"].max()) if len(run.val) else 0
    is_trained = plan.max_steps is not None and step >= plan.max_steps
    if is_trained and (validated >= step or not plan.validates):
        return Status.FINISHED
    if patience is not None and patience.stopped and validated >= step:
        return Status.STOPPED_EARLY
    quiet_s = _quiet_s(run, plan)
    if silent_s > KILLED_AFTER * quiet_s:
        return Status.KILLED
    if silent_s > quiet_s:
        return Status.STALLED
    record = run.record
    position = record.position if record is not None else None
    if position is None and run.sessions["steps"].iloc[-1] == 0:
        return Status.STARTING
    if record is None or position is None or record.loop != "val":
        return Status.TRAINING
    is_validating = position[0] < position[1] or validated < step
    return Status.VALIDATING if is_validating else Status.TRAINING


def _quiet_s(run: Run, plan: Plan) -> float:
    """Longest silence that is still usual.

    The longest gap between two steps but one counts: what happened once, as when a laptop slept,
    is not usual.
    """
    gaps = run.record.longest_gaps_s if run.record is not None else []
    step_s = float(run.train["time"].iloc[-1]) if len(run.train) and "time" in run.train else 0.0
    usual_s = max(gaps[-2] if len(gaps) > 1 else 0.0, step_s * plan.log_interval)
    is_first = not len(run.train) or (plan.validates and not len(run.val))
    return max(USUAL_GAPS * usual_s, QUIET_AT_FIRST_S if is_first else QUIET_S)
