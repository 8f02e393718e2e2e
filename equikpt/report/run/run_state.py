"""State of a run: its plan, the metric that it watches, its progress, and its end."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pandas as pd

from equikpt.report.run.run_folder import Run

LESS_IS_BETTER = (
    *("loss", "error", "epe", "nme", "mae", "rmse", "mse", "mm", "std"),
    *("swaps", "failures", "duplicates"),
)
"""Parts of a metric's name; of any other metric more is better."""
LOG_INTERVAL = 10
"""Steps from row to row: MMEngine's own."""
QUIET_S = 60.0
"""A shorter silence says nothing."""
QUIET_AT_FIRST_S = 600.0
"""Before the first row, and in the first validation: nobody knows yet how long they take."""
USUAL_GAPS = 3
"""A silence as long as this many usual ones is a stall."""
KILLED_AFTER = 5
"""After a silence as long as this many stalls nobody writes any more."""
PACE_ROWS = 20
"""Rows, and two intervals of validation, over which the pace is measured."""


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
class Metric:
    """A validation metric and which direction of it is better: ``"greater"`` or ``"less"``."""

    name: str
    rule: str

    def best_row(self, val: pd.DataFrame) -> pd.Series | None:
        """The validation with the best value, of equal ones the newest; None without any."""
        values = val[self.name].dropna() if self.name in val else pd.Series(dtype=float)
        if values.empty:
            return None
        best = values.max() if self.rule == "greater" else values.min()
        return val.loc[values.index[values == best][-1]]


@dataclass(frozen=True)
class Plan:
    """Planned length of a run."""

    max_epochs: int | None  # None in a run by steps, and without a config
    max_steps: int | None  # None as long as the length of an epoch is not known
    val_interval: int  # epochs, in a run by steps steps
    validates: bool
    log_interval: int  # steps from one row to the next


@dataclass(frozen=True)
class Patience:
    """The counter of ``EarlyStoppingHook``."""

    metric: str
    waited: int  # validations in a row without a gain
    patience: int  # the number of them that ends the run
    min_delta: float  # the smallest gain that counts
    stopped: bool  # the run was to end by it
    is_logged: bool  # a validation has the metric


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
        done, begun = divmod(self.step, per_epoch)
        is_between = self.status.is_over or self.status is Status.VALIDATING
        return max(1, done if is_between and not begun else done + 1)

    @property
    def phase(self) -> int | None:
        """Index of the phase of ``StageUnfreezeHook``, which counts epochs from 0; None without."""
        options = self.run.hook("StageUnfreezeHook")
        if options is None or self.epoch is None:
            return None
        return sum(phase["begin"] < self.epoch for phase in options["phases"]) - 1


def state_of(run: Run, now_s: float | None = None) -> State:
    """Judge a run.

    Args:
        run: What was read.
        now_s: Seconds since 1970; None: the clock's.
    """
    plan, patience, metric = plan_of(run), patience_of(run), watched_metric(run)
    silent_s = max(0.0, (time.time() if now_s is None else now_s) - run.active_s)
    frames = [frame for frame in (run.train, run.val) if len(frame)]
    # rows end before the epoch does: validations and the record know better
    recorded = run.record.step if run.record is not None else 0
    step = max([recorded, *(int(frame["step"].max()) for frame in frames)])
    status = _status(run, plan, step, patience, silent_s)
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
        elapsed_s=max((frame["wall_s"].iloc[-1] for frame in frames), default=0.0),
        left_s=left_s,
        metric=metric,
        best=metric.best_row(run.val) if metric else None,
        patience=patience,
    )


def plan_of(run: Run) -> Plan:
    """Read the plan off the config; without one the record knows how far the run goes."""
    loop = run.setting("train_cfg") or {}
    max_epochs, max_steps = loop.get("max_epochs"), loop.get("max_iters")
    if max_epochs is None and max_steps is None and run.record is not None:
        max_epochs, max_steps = run.record.max_epochs, run.record.max_steps
    elif max_epochs is not None and run.steps_per_epoch is not None:
        max_steps = max_epochs * run.steps_per_epoch
    return Plan(
        max_epochs=max_epochs,
        max_steps=max_steps,
        val_interval=loop.get("val_interval", 1),
        validates=run.setting("val_dataloader") is not None,
        log_interval=(run.hook("LoggerHook") or {}).get("interval", LOG_INTERVAL),
    )


def watched_metric(run: Run) -> Metric | None:
    """The metric that the run keeps its best checkpoint by.

    Without such a rule in the config it is what early stopping watches, then ``val_loss``, then
    the first metric that was logged. None where a run without a config was never validated.
    """

    def first(value: Any) -> Any:  # `save_best` and `rule` may be lists
        return value[0] if isinstance(value, (list, tuple)) and value else value

    for hook, key in (("CheckpointHook", "save_best"), ("EarlyStoppingHook", "monitor")):
        options = run.hook(hook) or {}
        name, rule = first(options.get(key)), first(options.get("rule"))
        if name and name != "auto":
            return Metric(name, rule or better_direction(name))
    logged = metric_names(run)
    if not logged:
        return None
    name = "val_loss" if "val_loss" in logged else logged[0]
    return Metric(name, better_direction(name))


def metric_names(run: Run) -> list[str]:
    """Names of what validations logged, in their order."""
    others = ("epoch", "step", "wall_s", "time", "data_time")
    return [name for name in run.val.columns if name not in others]


def better_direction(name: str) -> str:
    """``"less"`` for losses and errors by their name, else ``"greater"``."""
    parts = name.lower().replace("/", "_").replace("@", "_").split("_")
    return "less" if any(part in LESS_IS_BETTER for part in parts) else "greater"


def patience_of(run: Run) -> Patience | None:
    """Replay early stopping as MMEngine's hook counts; None without the hook.

    A resumed run counts on (``ValidationStateHook``).
    """
    options = run.hook("EarlyStoppingHook")
    if options is None:
        return None
    name = options["monitor"]
    sign = 1.0 if (options.get("rule") or better_direction(name)) == "greater" else -1.0
    patience, min_delta = options.get("patience", 5), options.get("min_delta", 0.1)
    threshold = options.get("stopping_threshold")
    waited, best, stopped = 0, -math.inf, False
    for value in sign * run.val[name] if name in run.val else ():
        is_broken = options.get("check_finite", True) and not math.isfinite(value)
        if is_broken or (threshold is not None and value > sign * threshold):
            stopped = True
        elif best + min_delta > value:
            waited += 1
            stopped = waited >= patience
        else:
            waited, best = 0, value
        if stopped:
            break
    return Patience(name, waited, patience, min_delta, stopped, name in run.val)


def seconds_per_step(run: Run, plan: Plan) -> float | None:
    """Recent pace, with validations and checkpoints in it; None before two rows."""
    if len(run.train) < 2:
        return None
    steps, wall_s = run.train["step"], run.train["wall_s"]
    cycle = 2 * plan.val_interval * (run.steps_per_epoch or 1)
    first = min(int((steps <= steps.iloc[-1] - cycle).sum()), max(0, len(steps) - PACE_ROWS))
    return float((wall_s.iloc[-1] - wall_s.iloc[first]) / (steps.iloc[-1] - steps.iloc[first]))


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
