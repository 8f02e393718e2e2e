"""Curves of one run, or of several over one another.

A panel is data: what is drawn, and over what. ``figure`` makes images of panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from equikpt.report.diagnose.curves import smoothed
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import Metric, hook_options

SECONDS = "seconds a step"


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        label: For the legend.
        x: (N,) epochs, steps or hours.
        y: (N,) values; NaN leaves a gap.
        colour: Which of the house colours.
        is_marked: Each value is marked: there are few.
        raw: (N,) values before smoothing, drawn faintly behind.
        best: Index of the value to point out.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    is_marked: bool = False
    raw: np.ndarray | None = None
    best: int | None = None


@dataclass(frozen=True)
class Panel:
    """Lines over one axis.

    Args:
        title: What ``y`` is, with its unit.
        x_label: What ``x`` is.
        lines: At least one.
        events: Where on ``x`` something began: a start, a phase.
        from_zero: A linear axis from zero on, for shares of a whole; else the range decides.
    """

    title: str
    x_label: str
    lines: tuple[Line, ...]
    events: tuple[float, ...] = ()
    from_zero: bool = False


Row = tuple[str, list[Line | None]]
"""A panel to be: its title, and its lines where they were logged."""


def panels_of_run(run: Run, metric: Metric | None) -> list[Panel]:
    """Loss, metric, loss terms, rates, gradient and time of one run, each where it was logged."""
    unit = x_unit([run])
    logged = [str(name) for name in run.train.columns]
    terms = [name for name in logged if name.startswith("loss_")]
    rates = [name for name in logged if name.startswith("lr_")] or ["lr"]
    norms = [name for name in logged if name.startswith("grad_norm")]
    loss = [
        _train_line(run, unit, "loss", "training", 0),
        _val_line(run, unit, Metric("val_loss", "less"), "validation", 1),
    ]
    rows = [
        ("loss", loss),
        *_metric_rows(metric, [_val_line(run, unit, metric, "validation", 1)]),
        ("loss by term", _several(run, unit, terms, "loss_") if len(terms) > 1 else []),
        ("learning rate", _several(run, unit, rates, "lr_")),
        ("norm of the gradient", _several(run, unit, norms, "grad_norm_")),
        (SECONDS, _several(run, unit, ["time", "data_time"], "")),
    ]
    return _panels(rows, unit, _events(run, unit))


def panels_of_runs(names: Sequence[str], runs: Sequence[Run], metric: Metric | None) -> list[Panel]:
    """The same of several runs, a colour a run.

    Args:
        names: What to call them.
        runs: In the order of their colours.
        metric: What they are compared by.
    """
    unit = x_unit(runs)
    named = list(zip(range(len(runs)), names, runs, strict=True))
    val_loss = Metric("val_loss", "less")
    rows = [
        ("training loss", [_train_line(run, unit, "loss", name, i) for i, name, run in named]),
        ("val_loss", [_val_line(run, unit, val_loss, name, i) for i, name, run in named]),
        *_metric_rows(metric, [_val_line(r, unit, metric, n, i) for i, n, r in named]),
        ("learning rate", [_train_line(run, unit, "lr", name, i) for i, name, run in named]),
        ("norm of the gradient", [_train_line(r, unit, "grad_norm", n, i) for i, n, r in named]),
    ]
    by_time = [_val_line(run, "hours", metric, name, i) for i, name, run in named]
    over_hours = [(metric.name, by_time)] if metric else []
    return _panels(rows, unit, ()) + _panels(over_hours, "hours", ())


def x_unit(runs: Sequence[Run]) -> str:
    """``"epochs"`` where all runs count them, else ``"steps"``."""
    return "epochs" if all(run.steps_per_epoch for run in runs) else "steps"


def _metric_rows(metric: Metric | None, lines: list[Line | None]) -> list[Row]:
    """A row of its own for a metric other than the loss, which has one anyway."""
    return [] if metric is None or metric.name == "val_loss" else [(metric.name, lines)]


def _panels(rows: Sequence[Row], unit: str, events: tuple[float, ...]) -> list[Panel]:
    """The panels that have a line."""
    found = [(title, tuple(line for line in lines if line is not None)) for title, lines in rows]
    return [
        Panel(title, unit, lines, events, from_zero=title == SECONDS)
        for title, lines in found
        if lines
    ]


def _several(run: Run, unit: str, names: Sequence[str], prefix: str) -> list[Line | None]:
    return [
        _train_line(run, unit, name, name.removeprefix(prefix), colour, smooth=False)
        for colour, name in enumerate(names)
    ]


def _train_line(
    run: Run, unit: str, name: str, label: str, colour: int, smooth: bool = True
) -> Line | None:
    if name not in run.train or run.train[name].isna().all():
        return None
    values = run.train[name].astype(float)
    if not smooth or name == "lr":
        return Line(label, _x(run.train, run, unit), values.to_numpy(), colour)
    y = smoothed(values).to_numpy()
    return Line(label, _x(run.train, run, unit), y, colour, raw=values.to_numpy())


def _val_line(run: Run, unit: str, metric: Metric | None, label: str, colour: int) -> Line | None:
    if metric is None or metric.name not in run.val:
        return None
    rows = run.val.dropna(subset=[metric.name])
    best = metric.best_row(rows)
    if best is None:
        return None
    place = rows.index.get_loc(best.name)
    y = rows[metric.name].to_numpy(float)
    return Line(label, _x(rows, run, unit), y, colour, is_marked=True, best=place)


def _x(rows: pd.DataFrame, run: Run, unit: str) -> np.ndarray:
    if unit == "hours":
        return rows["wall_s"].to_numpy() / 3600
    return rows["step"].to_numpy() / (run.steps_per_epoch or 1 if unit == "epochs" else 1)


def _events(run: Run, unit: str) -> tuple[float, ...]:
    """Where a resumed start went on and where a phase of ``StageUnfreezeHook`` began."""
    per_unit = run.steps_per_epoch or 1 if unit == "epochs" else 1
    resumed = run.sessions[run.sessions["resumed"].astype(bool)]
    starts = (resumed["last_step"] - resumed["steps"]) / per_unit
    options = hook_options(run, "StageUnfreezeHook")
    phases = [phase["begin"] for phase in options["phases"]] if options else []
    if unit != "epochs":
        phases = []
    last = run.train["step"].max() / per_unit if len(run.train) else 0
    return tuple(x for x in sorted({*starts.tolist(), *phases}) if 0 < x < last)
