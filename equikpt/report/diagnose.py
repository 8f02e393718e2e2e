"""Diagnose a run from its curves: loss and gradient, validation, time.

A rule is a function from the state of a run to a message and an advice, or None.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from equikpt.core.issues import SEVERITIES, Issue
from equikpt.report.run import curves
from equikpt.report.run.curves import smoothed
from equikpt.report.run.run_state import State, metric_names

LR, CLIP = "optim_wrapper.optimizer.lr", "optim_wrapper.clip_grad"

MIN_ROWS = 20  # fewer say nothing about where a loss goes
EXPLODED = 10.0  # times its lowest value that a loss, or a gradient, has grown to
BACK = 0.5  # fraction of the way from its lowest value to its start that a loss has gone back
STILL = 0.02  # fraction of its first value within which a loss has not moved
VANISHED = 1e-6  # `GradientMonitorHook`'s own limit

MIN_VALIDATIONS = 6  # fewer say nothing about a trend
RISEN = 0.05  # fraction by which a loss has to have risen, or fallen, to be said to
STILL_FALLS = 0.02  # fraction by which the training loss has to have gone on falling
GAP = 3.0  # times the training loss, which augmentation and dropout make larger, not smaller
STANDING, STANDING_FRACTION = 10, 0.3  # validations, and their fraction, that make a plateau
REST = 0.3  # fraction of a run that must be left for a plateau to be worth a word
LOW_RATE = 0.1  # fraction of the largest rate below which a schedule lands, and curves are flat

RECENT = 5  # rows, or validations, whose median stands for a part of the run
WAITING = 0.2  # `ThreadBudgetHook`'s own fraction of a step above which waiting is an issue
SLOWER = 2.5  # times its former median that a step takes
VALIDATING = 0.5  # fraction of the time that validation takes

Found = tuple[str, str] | tuple[str, str, str] | None
"""Message, advice, and a severity where it is not the rule's own."""

Rule = Callable[[State], Found]
RULES: dict[str, tuple[str, Rule]] = {}
"""Severity and rule by the issue's code."""


def diagnose(state: State) -> list[Issue]:
    """List what the rules find, the worst first."""
    issues = []
    for code, (severity, rule) in RULES.items():
        if found := rule(state):
            message, fix, *own = found
            issues.append(Issue(code, message, fix, severity=own[0] if own else severity))
    return sorted(issues, key=lambda each: SEVERITIES.index(each.severity))


def _rule(severity: str) -> Callable[[Rule], Rule]:
    return lambda rule: RULES.setdefault(rule.__name__.removeprefix("_"), (severity, rule))[1]


def _now(state: State, key: str) -> str:
    """``optim_wrapper.optimizer.lr (now 0.004)``, the value where the config has one."""
    value = state.run.setting(key)
    return key if value is None else f"{key} (now {value})"


@_rule("error")
def _not_finite(state: State) -> Found:
    for kind, name, frame in (
        ("training", "loss", state.run.train),
        ("validation", "val_loss", state.run.val),
    ):
        broken = ~np.isfinite(frame[name].to_numpy(float)) if name in frame else np.array([False])
        if not broken.any():
            continue
        goes_on = bool(broken[-1])
        first = np.flatnonzero(~broken).max(initial=-1) + 1 if goes_on else broken.argmax()
        value, where = frame[name].iloc[first], state.run.when(frame["step"].iloc[first])
        return (
            f"The {kind} loss {'is' if goes_on else 'was'} {value:.3g} "
            f"{'since' if goes_on else 'in'} {where}.",
            f"Go on from an earlier checkpoint with a lower {_now(state, LR)} and a clipped "
            f"gradient, {_now(state, CLIP)}; if it comes back at once, look for labels that are "
            "no numbers with tools/verify_dataset.py.",
            "error" if goes_on else "warning",
        )
    return None


@_rule("error")
def _not_learning(state: State) -> Found:
    if (found := curves.losses_of(state, MIN_ROWS)) is None:
        return None
    rows, start, curve = found
    last = curve.iloc[-1]
    if curve.min() < start - STILL * abs(start):
        return None
    return (
        f"The training loss has not fallen below its start: {start:.3g} at first, {last:.3g} in "
        f"{state.run.when(rows['step'].iloc[-1])}.",
        f"Lower {_now(state, LR)}, by 10 to begin with."
        if last > start + STILL * abs(start)
        else f"Raise {_now(state, LR)} or release what is frozen (tools/param_report.py shows "
        "both); if neither helps, look at the labels as the model gets them "
        "(tools/browse_dataset.py).",
    )


@_rule("error")
def _diverging(state: State) -> Found:
    if (found := curves.losses_of(state, MIN_ROWS)) is None:
        return None
    rows, start, curve = found
    lowest, last = curve.min(), curve.iloc[-1]
    way = max(start, curve.iloc[0]) - lowest
    is_back = last - lowest > BACK * way > 0 and last > lowest + STILL * abs(start)
    if not is_back and not last > EXPLODED * lowest > 0:
        return None
    where = state.run.when(rows["step"].iloc[int(curve.to_numpy().argmin())])
    return (
        f"The training loss rose from {lowest:.3g} in {where} to {last:.3g}; it began at "
        f"{start:.3g}.",
        f"Lower {_now(state, LR)}, by 3 to begin with, or lengthen the warm-up in param_scheduler.",
    )


@_rule("error")
def _exploding_gradient(state: State) -> Found:
    """The gradient grows while the loss does not fall, or is not finite row after row."""
    rows = curves.after_warm_up(state)
    if "grad_norm" not in rows or len(rows) < MIN_ROWS:
        return None
    norms = rows["grad_norm"].astype(float)
    broken = not np.isfinite(norms.tail(RECENT)).any()
    curve = smoothed(norms[np.isfinite(norms)])
    grown = not curve.empty and curve.iloc[-1] > EXPLODED * curve.median()
    loss = smoothed(rows["loss"].dropna()) if "loss" in rows else curve
    rises = loss.empty or loss.iloc[-1] > loss.min() + STILL * abs(loss.iloc[0])
    if not broken and not (grown and rises):
        return None
    grew = "is not finite" if broken else f"grew from {curve.median():.3g} to {curve.iloc[-1]:.3g}"
    return (
        f"The norm of the gradient {grew} up to {state.run.when(rows['step'].iloc[-1])}.",
        f"Lower {_now(state, LR)}, or clip harder: {_now(state, CLIP)}.",
    )


@_rule("warning")
def _vanishing_gradient(state: State) -> Found:
    limit = (state.run.hook("GradientMonitorHook") or {}).get("vanishing", VANISHED)
    last = state.run.train.filter(regex="^grad_norm_").tail(RECENT)
    parts = [str(name).removeprefix("grad_norm_") for name in last if (last[name] < limit).all()]
    if not parts or len(last) < RECENT:
        return None
    return (
        f"The gradient of {', '.join(parts)} is below {limit:g}.",
        "See that the part is used in the loss; freeze it with model.backbone.frozen_stages if it "
        "need not train.",
    )


@_rule("error")
def _unlogged_metric(state: State) -> Found:
    logged = metric_names(state.run)
    for option, name in (
        ("monitor of EarlyStoppingHook", state.patience and state.patience.metric),
        ("save_best of CheckpointHook", state.metric and state.metric.name),
    ):
        if name and name not in logged and len(state.run.val):
            return (
                f"{option} is {name}, which validation does not log.",
                f"Set it to one of {', '.join(logged)}.",
            )
    return None


@_rule("error")
def _exploding(state: State) -> Found:
    """The validation loss shot up, and is still above what training began with."""
    losses = curves.val_losses(state, 2)
    if losses is None:
        return None
    values, start = losses["val_loss"].to_numpy(), curves.first_loss(state)
    lowest, highest, last = values.min(), values.max(), values[-1]
    shot_up = highest > EXPLODED * lowest > 0 and values.argmax() > values.argmin()
    if not shot_up or last < 2 * start:
        return None
    where = state.run.when(losses["step"].iloc[int(values.argmin())])
    return (
        f"The validation loss rose from {lowest:.3g} in {where} to {highest:.3g} and is at "
        f"{last:.3g}; the training loss began at {start:.3g}.",
        f"Lower {_now(state, LR)}: steps are so large that the statistics of batch "
        "normalization no longer fit the weights.",
    )


@_rule("warning")
def _overfitting(state: State) -> Found:
    """The validation loss rises and rises while the training loss falls, and the metric stands."""
    losses = curves.val_losses(state, MIN_VALIDATIONS)
    if losses is None or _exploding(state):
        return None
    values = losses["val_loss"].to_numpy()
    lowest = int(values.argmin())
    since = values[lowest:]
    if len(since) < max(4, len(values) // 5):
        return None
    noise = float(np.median(np.abs(np.diff(values[max(0, lowest - 5) :]))))
    last = float(np.median(since[-3:]))
    risen = last - since[0] > max(RISEN * abs(since[0]), 2 * noise)
    rising = pd.Series(since).corr(pd.Series(range(len(since))), method="kendall") > 0.3
    trained = curves.train_loss_at(state, losses["step"])
    before, now = trained[lowest], float(np.median(trained[-3:]))
    falls = before - now > STILL_FALLS * abs(before)
    gained = False  # a metric besides the loss has its best value in the last third
    if state.metric is not None and state.best is not None and state.metric.name != "val_loss":
        recent = state.run.val["step"].tail(max(2, len(since) // 3))
        gained = bool(state.best["step"] >= recent.iloc[0])
    if not (risen and rising and falls) or gained:
        return None
    best = state.run.checkpoints.best
    keep = f"Use {best[0].name}" if best else "Use the checkpoint of that epoch"
    return (
        f"Overfitting since {state.run.when(losses['step'].iloc[lowest])}: the validation loss "
        f"rose from {since[0]:.3g} to {last:.3g} while the training loss fell from {before:.3g} to "
        f"{now:.3g}.",
        f"{keep}; for the next run raise {_now(state, 'optim_wrapper.optimizer.weight_decay')}, "
        "freeze more stages (model.backbone.frozen_stages), augment more in "
        "train_dataloader.dataset.pipeline, or lower early_stopping.patience.",
    )


@_rule("warning")
def _gap(state: State) -> Found:
    """Validation costs several times what training does, and no longer catches up."""
    losses = curves.val_losses(state, MIN_VALIDATIONS)
    if losses is None or _exploding(state) or _overfitting(state):
        return None
    third = max(3, len(losses) // 3)
    last, before = losses["val_loss"].tail(third), losses["val_loss"].iloc[:-third]
    trained = float(np.median(curves.train_loss_at(state, losses["step"])[-third:]))
    value = float(last.median())
    catches_up = last.min() < before.min() - RISEN * abs(before.min())
    if trained <= 0 or value < GAP * trained or catches_up:
        return None
    return (
        f"The validation loss, {value:.3g}, is {value / trained:.1f} times the training loss, "
        f"{trained:.3g}, and no longer falls.",
        "Add training images like those of validation, or augment more in "
        "train_dataloader.dataset.pipeline; see with tools/split_dataset.py whether the two sets "
        "show the same kind of images.",
    )


@_rule("warning")
def _plateau(state: State) -> Found:
    """Neither the metric nor the training loss moves, with much of the run to come."""
    run, metric, best, end = state.run, state.metric, state.best, state.plan.max_steps
    if metric is None or best is None or end is None or state.status.is_over:
        return None
    since = run.val[run.val["step"] > best["step"]]
    is_long = len(since) >= max(STANDING, STANDING_FRACTION * len(run.val))
    lands = "lr" in run.train and run.train["lr"].iloc[-1] < LOW_RATE * run.train["lr"].max()
    if not is_long or state.step > (1 - REST) * end or lands:
        return None
    loss = smoothed(run.train["loss"].dropna())
    at_best = loss[run.train["step"] <= best["step"]]
    if at_best.empty or at_best.iloc[-1] - loss.iloc[-1] > RISEN * abs(at_best.iloc[-1]):
        return None
    return (
        f"{metric.name} has stood at {best[metric.name]:.4g} since {run.when(best['step'])}, "
        f"for {len(since)} validations, and the training loss stands as well.",
        "Let param_scheduler lower the rate (ReduceOnPlateauLR, or an earlier milestone), or stop.",
    )


@_rule("warning")
def _waits_for_data(state: State) -> Found:
    rows = state.run.train
    if "data_time" not in rows or "time" not in rows or len(rows) < 2 * RECENT:
        return None
    recent = rows.tail(4 * RECENT)
    fraction = float((recent["data_time"] / recent["time"]).median())
    limit = (state.run.hook("ThreadBudgetHook") or {}).get("wait_warning", WAITING)
    if not fraction > limit:
        return None
    return (
        f"{fraction:.0%} of a step is waiting for data: the processor that trains stands idle.",
        f"Raise {_now(state, 'train_dataloader.num_workers')} up to the number of cores, set "
        "train_dataloader.persistent_workers=True, or keep the images on a faster disk.",
    )


@_rule("warning")
def _grows_slower(state: State) -> Found:
    times = state.run.train.get("time", pd.Series(dtype=float)).dropna()
    if len(times) < 5 * RECENT:
        return None
    before, now = float(times.iloc[:-RECENT].median()), float(times.tail(RECENT).median())
    if not now > SLOWER * before:
        return None
    return (
        f"A step takes {now:.2g} s, {now / before:.1f} times as long as before.",
        "See whether another process shares the machine or memory is short; a smaller "
        f"{_now(state, 'train_dataloader.batch_size')} needs less of it.",
    )


@_rule("info")
def _validates_long(state: State) -> Found:
    train, recent = state.run.train, state.run.val.tail(RECENT)
    is_known = len(recent) == RECENT and "time" in train
    if not is_known or recent["step"].min() < train["step"].min():
        return None
    ends = recent["wall_s"].to_numpy()
    before = train.iloc[np.searchsorted(train["step"], recent["step"], side="right") - 1]
    unlogged = recent["step"].to_numpy() - before["step"].to_numpy()
    begins = before["wall_s"].to_numpy() + unlogged * before["time"].to_numpy()
    fraction = float(np.sum((ends - begins)[1:]) / (ends[-1] - ends[0]))
    if not fraction > VALIDATING:
        return None
    where = state.run.when(recent["step"].iloc[0])
    return (
        f"Validation took {fraction:.0%} of the time since {where}.",
        f"Raise train_cfg.val_interval (now {state.plan.val_interval}).",
    )
