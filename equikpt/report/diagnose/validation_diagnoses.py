"""Rules about validation: losses that explode, overfitting, the gap to training, plateaus."""

from __future__ import annotations

import numpy as np
import pandas as pd

from equikpt.core.issues import Issue
from equikpt.report.diagnose.curves import now_set, place, smoothed, train_loss_at
from equikpt.report.diagnose.loss_diagnoses import EXPLODED, LR
from equikpt.report.run.run_plan import metric_names
from equikpt.report.run.run_state import State

FEW = 6
"""Fewer validations say nothing about a trend."""
RISEN = 0.05
"""Share by which a loss has to have risen, or fallen, to be said to."""
STILL_FALLS = 0.02
"""Share by which the training loss has to have gone on falling."""
GAP = 3.0
"""Times the training loss, which augmentation and dropout make larger, not smaller."""
STANDING = 10
"""Validations, and at least :data:`STANDING_SHARE` of all, without a gain that make a plateau."""
STANDING_SHARE = 0.3
REST = 0.3
"""Share of a run that must be left for a plateau to be worth a word."""
LOW_RATE = 0.1
"""Share of the largest rate below which a schedule is in its landing, where curves are flat."""


def exploding(state: State) -> Issue | None:
    """The validation loss shot up, and is still above what training began with."""
    losses = _val_losses(state)
    if losses is None or len(losses) < 2:
        return None
    values = losses["val_loss"].to_numpy()
    lowest, highest, last = values.min(), values.max(), values[-1]
    start = state.run.train["loss"].dropna().iloc[0]
    if not (highest > EXPLODED * lowest > 0 and values.argmax() > values.argmin()):
        return None
    if last < 2 * start:
        return None
    step = losses["step"].iloc[int(values.argmin())]
    return Issue(
        "exploding",
        f"The validation loss rose from {lowest:.3g} in {place(state, step)} to "
        f"{highest:.3g} and is at {last:.3g}; the training loss began at {start:.3g}.",
        f"Lower {now_set(state, LR)}: steps are so large that the statistics of batch "
        "normalization no longer fit the weights.",
        severity="error",
    )


def overfitting(state: State) -> Issue | None:
    """The validation loss rises and rises while the training loss falls, and the metric stands."""
    losses = _val_losses(state)
    if losses is None or len(losses) < FEW or exploding(state):
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
    trained = train_loss_at(state, losses["step"])
    before, now = trained[lowest], float(np.median(trained[-3:]))
    falls = before - now > STILL_FALLS * abs(before)
    if not (risen and rising and falls) or _gained_lately(state, len(since)):
        return None
    best = state.run.checkpoints.best
    keep = f"Use {best[0].name}" if best else "Use the checkpoint of that epoch"
    return Issue(
        "overfitting",
        f"Overfitting since {place(state, losses['step'].iloc[lowest])}: the validation loss rose "
        f"from {since[0]:.3g} to {last:.3g} while the training loss fell from {before:.3g} to "
        f"{now:.3g}.",
        f"{keep}; for the next run raise {now_set(state, 'optim_wrapper.optimizer.weight_decay')}, "
        "freeze more stages (model.backbone.frozen_stages), augment more in "
        "train_dataloader.dataset.pipeline, or lower early_stopping.patience.",
        severity="warning",
    )


def gap(state: State) -> Issue | None:
    """Validation costs several times what training does, and no longer catches up."""
    losses = _val_losses(state)
    if losses is None or len(losses) < FEW or exploding(state) or overfitting(state):
        return None
    third = max(3, len(losses) // 3)
    last, before = losses["val_loss"].tail(third), losses["val_loss"].iloc[:-third]
    trained = float(np.median(train_loss_at(state, losses["step"])[-third:]))
    value = float(last.median())
    catches_up = last.min() < before.min() - RISEN * abs(before.min())
    if trained <= 0 or value < GAP * trained or catches_up:
        return None
    return Issue(
        "gap",
        f"The validation loss, {value:.3g}, is {value / trained:.1f} times the training loss, "
        f"{trained:.3g}, and no longer falls.",
        "Add training images like those of validation, or augment more in "
        "train_dataloader.dataset.pipeline; see with tools/split_dataset.py whether the two sets "
        "show the same kind of images.",
        severity="warning",
    )


def plateau(state: State) -> Issue | None:
    """Neither the metric nor the training loss moves, with much of the run to come."""
    run, metric, best = state.run, state.metric, state.best
    if metric is None or best is None or state.plan.max_steps is None or state.status.is_over:
        return None
    since = run.val[run.val["step"] > best["step"]]
    is_long = len(since) >= max(STANDING, STANDING_SHARE * len(run.val))
    if not is_long or state.step > (1 - REST) * state.plan.max_steps or _is_landing(state):
        return None
    loss = smoothed(run.train["loss"].dropna())
    at_best = loss[run.train["step"] <= best["step"]]
    if at_best.empty or at_best.iloc[-1] - loss.iloc[-1] > RISEN * abs(at_best.iloc[-1]):
        return None
    return Issue(
        "plateau",
        f"{metric.name} has stood at {best[metric.name]:.4g} since {place(state, best['step'])}, "
        f"for {len(since)} validations, and the training loss stands as well.",
        "Let param_scheduler lower the rate (ReduceOnPlateauLR, or an earlier milestone), or stop.",
        severity="warning",
    )


def unlogged_metric(state: State) -> Issue | None:
    """Early stopping, or the best checkpoint, waits for a metric that validation does not log."""
    if not len(state.run.val):
        return None
    logged = metric_names(state.run)
    for option, name in (
        ("monitor of EarlyStoppingHook", state.patience and state.patience.metric),
        ("save_best of CheckpointHook", state.metric and state.metric.name),
    ):
        if name and name not in logged:
            return Issue(
                "unlogged_metric",
                f"{option} is {name}, which validation does not log.",
                f"Set it to one of {', '.join(logged)}.",
                severity="error",
            )
    return None


def _val_losses(state: State) -> pd.DataFrame | None:
    """Validations with a finite loss; None without them or without a training loss beside them."""
    run = state.run
    if "val_loss" not in run.val or "loss" not in run.train or run.train["loss"].isna().all():
        return None
    return run.val[np.isfinite(run.val["val_loss"].astype(float))]


def _gained_lately(state: State, rows: int) -> bool:
    """Tell whether a metric besides the loss has its best value in the last third of ``rows``."""
    if state.metric is None or state.best is None or state.metric.name == "val_loss":
        return False
    recent = state.run.val["step"].tail(max(2, rows // 3))
    return bool(state.best["step"] >= recent.iloc[0])


def _is_landing(state: State) -> bool:
    train = state.run.train
    return "lr" in train and train["lr"].iloc[-1] < LOW_RATE * train["lr"].max()
