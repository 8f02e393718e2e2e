"""Views of a run's curves that the rules share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from equikpt.report.run.run_plan import setting
from equikpt.report.run.run_state import State

WINDOW = 5
"""Rows in a row whose median stands for a place of a noisy curve."""


def smoothed(values: pd.Series) -> pd.Series:
    """Median over the :data:`WINDOW` rows around each, at the ends over those that there are."""
    return values.rolling(WINDOW, center=True, min_periods=1).median()


def after_warm_up(state: State) -> pd.DataFrame:
    """The training rows after the rate's linear rise, or all without one."""
    train = state.run.train
    schedules = setting(state.run, "param_scheduler") or []
    if isinstance(schedules, dict):
        schedules = [schedules]
    per_epoch = state.run.steps_per_epoch or 1
    ends = [
        each.get("end", 0) * (per_epoch if each.get("by_epoch", True) else 1)
        for each in schedules
        if each["type"] in ("WarmupLR", "LinearLR", "ConstantLR") and each.get("begin", 0) == 0
    ]
    return train[train["step"] > max(ends, default=0)]


def train_loss_at(state: State, steps: pd.Series) -> np.ndarray:
    """(N,) smoothed training loss at (N,) steps, interpolated; NaN without any."""
    rows = state.run.train.dropna(subset=["loss"])
    if rows.empty:
        return np.full(len(steps), np.nan)
    return np.interp(steps, rows["step"], smoothed(rows["loss"]))


def now_set(state: State, key: str) -> str:
    """``optim_wrapper.optimizer.lr (now 0.004)``, the value where the config has one."""
    value: Any = setting(state.run, key)
    return key if value is None else f"{key} (now {value})"


def place(state: State, step: float) -> str:
    """``epoch 3`` or, in a run by steps, ``step 250``."""
    per_epoch = state.run.steps_per_epoch
    step = int(step)
    return f"step {step}" if per_epoch is None else f"epoch {max(1, -(-step // per_epoch))}"
