"""Views of a run's curves that rules, texts and charts share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from equikpt.report.run.run_state import State

WINDOW = 5
"""Rows in a row whose median stands for a part of a noisy curve."""


def smoothed(values: pd.Series) -> pd.Series:
    """Median over the :data:`WINDOW` rows around each, at the ends over those that there are."""
    return values.rolling(WINDOW, center=True, min_periods=1).median()


def train_loss_at(state: State, steps: pd.Series) -> np.ndarray:
    """(N,) smoothed training loss at (N,) steps, interpolated; NaN without any."""
    rows = state.run.train.dropna(subset=["loss"])
    if rows.empty:
        return np.full(len(steps), np.nan)
    return np.interp(steps, rows["step"], smoothed(rows["loss"]))


def after_warm_up(state: State) -> pd.DataFrame:
    """The training rows after the rate's linear rise, or all without one."""
    schedules = state.run.setting("param_scheduler") or []
    per_epoch = state.run.steps_per_epoch or 1
    ends = [
        each.get("end", 0) * (per_epoch if each.get("by_epoch", True) else 1)
        for each in ([schedules] if isinstance(schedules, dict) else schedules)
        if each["type"] in ("WarmupLR", "LinearLR", "ConstantLR") and each.get("begin", 0) == 0
    ]
    return state.run.train[state.run.train["step"] > max(ends, default=0)]


def losses_of(state: State, minimum: int) -> tuple[pd.DataFrame, float, pd.Series] | None:
    """Rows after the warm-up with a loss, the run's first one, and theirs smoothed; None of few."""
    rows = after_warm_up(state)
    rows = rows.dropna(subset=["loss"]) if "loss" in rows else rows[:0]
    return (rows, first_loss(state), smoothed(rows["loss"])) if len(rows) >= minimum else None


def first_loss(state: State) -> float:
    """The first training loss that is a number."""
    return state.run.train["loss"].dropna().iloc[0]


def val_losses(state: State, minimum: int) -> pd.DataFrame | None:
    """Validations with a finite loss; None where they are few or have no training loss beside."""
    train, val = state.run.train, state.run.val
    if "val_loss" not in val or "loss" not in train or train["loss"].isna().all():
        return None
    rows = val[np.isfinite(val["val_loss"].astype(float))]
    return rows if len(rows) >= minimum else None
