"""Rules about the loss and its gradient: numbers that are none, rates that are too high or low."""

from __future__ import annotations

import numpy as np
import pandas as pd

from equikpt.core.issues import Issue
from equikpt.report.diagnose.curves import after_warm_up, now_set, place, smoothed
from equikpt.report.run.run_plan import hook_options
from equikpt.report.run.run_state import State

LR = "optim_wrapper.optimizer.lr"
CLIP = "optim_wrapper.clip_grad"

FEW_ROWS = 20
"""Fewer rows say nothing about where a loss goes."""
EXPLODED = 10.0
"""Times its lowest value that a loss, or a gradient, has grown to."""
BACK = 0.5
"""Share of the way from its lowest value to its start that a loss has gone back."""
STILL = 0.02
"""Share of its first value within which a loss has not moved."""
VANISHED = 1e-6
"""``GradientMonitorHook``'s own limit."""


def not_finite(state: State) -> Issue | None:
    """A loss is, or was, NaN or infinite."""
    for what, name, frame in (
        ("training", "loss", state.run.train),
        ("validation", "val_loss", state.run.val),
    ):
        if name not in frame:
            continue
        broken = ~np.isfinite(frame[name].to_numpy(float))
        if not broken.any():
            continue
        goes_on = bool(broken[-1])
        last_sound = int(np.flatnonzero(~broken).max(initial=-1))
        first = last_sound + 1 if goes_on else int(broken.argmax())
        value, step = frame[name].iloc[first], frame["step"].iloc[first]
        return Issue(
            "not_finite",
            f"The {what} loss {'is' if goes_on else 'was'} {value:.3g} "
            f"{'since' if goes_on else 'in'} {place(state, step)}.",
            f"Go on from an earlier checkpoint with a lower {now_set(state, LR)} and a clipped "
            f"gradient, {now_set(state, CLIP)}; if it comes back at once, look for labels that are "
            "no numbers with tools/verify_dataset.py.",
            severity="error" if goes_on else "warning",
        )
    return None


def diverging(state: State) -> Issue | None:
    """The training loss has left its lowest value far behind."""
    rows = _loss_rows(state)
    if len(rows) < FEW_ROWS:
        return None
    curve = smoothed(rows["loss"])
    start, lowest, last = state.run.train["loss"].dropna().iloc[0], curve.min(), curve.iloc[-1]
    way = max(start, curve.iloc[0]) - lowest
    is_back = last - lowest > BACK * way > 0 and last > lowest + STILL * abs(start)
    if not is_back and not last > EXPLODED * lowest > 0:
        return None
    step = rows["step"].iloc[int(curve.to_numpy().argmin())]
    return Issue(
        "diverging",
        f"The training loss rose from {lowest:.3g} in {place(state, step)} to {last:.3g}; it began "
        f"at {start:.3g}.",
        f"Lower {now_set(state, LR)}, by 3 to begin with, or lengthen the warm-up in "
        "param_scheduler.",
        severity="error",
    )


def not_learning(state: State) -> Issue | None:
    """The training loss has not fallen below its start."""
    rows = _loss_rows(state)
    if len(rows) < FEW_ROWS:
        return None
    start = state.run.train["loss"].dropna().iloc[0]
    curve = smoothed(rows["loss"])
    last = curve.iloc[-1]
    if min(curve.min(), last) < start - STILL * abs(start):
        return None
    too_high = last > start + STILL * abs(start)
    return Issue(
        "not_learning",
        f"The training loss has not fallen below its start: {start:.3g} at first, {last:.3g} in "
        f"{place(state, rows['step'].iloc[-1])}.",
        f"Lower {now_set(state, LR)}, by 10 to begin with."
        if too_high
        else f"Raise {now_set(state, LR)} or release what is frozen (tools/param_report.py shows "
        "both); if neither helps, look at the labels as the model gets them "
        "(tools/browse_dataset.py).",
        severity="error",
    )


def exploding_gradient(state: State) -> Issue | None:
    """The gradient grows while the loss does not fall, or is not finite row after row."""
    rows = after_warm_up(state)
    if "grad_norm" not in rows or len(rows) < FEW_ROWS:
        return None
    norms = rows["grad_norm"].astype(float)
    broken = bool((~np.isfinite(norms.tail(FEW_ROWS // 4))).all())
    curve = smoothed(norms[np.isfinite(norms)])
    grown = not curve.empty and curve.iloc[-1] > EXPLODED * curve.median()
    loss = smoothed(rows["loss"].dropna()) if "loss" in rows else curve
    rises = loss.empty or loss.iloc[-1] > loss.min() + STILL * abs(loss.iloc[0])
    if not broken and not (grown and rises):
        return None
    told = "is not finite" if broken else f"grew from {curve.median():.3g} to {curve.iloc[-1]:.3g}"
    return Issue(
        "exploding_gradient",
        f"The norm of the gradient {told} up to {place(state, rows['step'].iloc[-1])}.",
        f"Lower {now_set(state, LR)}, or clip harder: {now_set(state, CLIP)}.",
        severity="error",
    )


def vanishing_gradient(state: State) -> Issue | None:
    """A part of the model, of those that ``GradientMonitorHook`` logs, gets no gradient."""
    limit = (hook_options(state.run, "GradientMonitorHook") or {}).get("vanishing", VANISHED)
    last = state.run.train.tail(FEW_ROWS // 4)
    parts = [
        name.removeprefix("grad_norm_")
        for name in last.columns
        if name.startswith("grad_norm_") and (last[name] < limit).all()
    ]
    if not parts or len(last) < FEW_ROWS // 4:
        return None
    return Issue(
        "vanishing_gradient",
        f"The gradient of {', '.join(parts)} is below {limit:g}.",
        "See that the part is used in the loss; freeze it with model.backbone.frozen_stages if it "
        "need not train.",
        severity="warning",
    )


def _loss_rows(state: State) -> pd.DataFrame:
    """The rows after the warm-up with a loss that is a number."""
    rows = after_warm_up(state)
    return rows.dropna(subset=["loss"]) if "loss" in rows else rows[:0]
