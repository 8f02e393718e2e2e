"""Curves of one run, or of several over one another, and their page as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from equikpt.core.issues import Issue
from equikpt.report.html.charts import Line, Panel, panel_chart
from equikpt.report.html.render import render
from equikpt.report.run.comparison import compare
from equikpt.report.run.curves import smoothed
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_state import Metric, State
from equikpt.report.state_text import state_lines

SECONDS = "seconds a step"
VAL_LOSS = Metric("val_loss", "less")


def run_page(state: State, issues: Sequence[Issue]) -> str:
    """Render state, issues and curves of one run."""
    return render(
        "monitor.html.j2",
        title=f"{state.run.name}: {state.status.value}",
        issues=issues,
        rows=state_lines(state),
        charts=list(map(panel_chart, panels_of_run(state.run, state.metric))),
        comparison=None,
    )


def comparison_page(states: Sequence[State]) -> str:
    """Render results, curves over one another, and the differences of the configs."""
    found, runs = compare(states), [state.run for state in states]
    return render(
        "monitor.html.j2",
        title=f"Comparison of {', '.join(found.names)}",
        issues=(),
        rows=found.rows,
        charts=list(map(panel_chart, panels_of_runs(found.names, runs, found.metric))),
        comparison=found,
    )


def panels_of_run(run: Run, metric: Metric | None) -> list[Panel]:
    """Loss, metric, loss terms, rates, gradient and time of one run, each where it was logged."""
    unit = x_unit([run])

    def several(names: Sequence[str], prefix: str = "") -> list[Line | None]:
        return [
            _train_line(run, unit, name, name.removeprefix(prefix), colour, smooth=False)
            for colour, name in enumerate(names)
        ]

    terms, rates, norms = (
        [str(name) for name in run.train if str(name).startswith(prefix)]
        for prefix in ("loss_", "lr_", "grad_norm")
    )
    train = _train_line(run, unit, "loss", "training", 0)
    rows = [
        ("loss", [train, _val_line(run, unit, VAL_LOSS, "validation", 1)]),
        (_own_title(metric), [_val_line(run, unit, metric, "validation", 1)]),
        ("loss by term", several(terms, "loss_") if len(terms) > 1 else []),
        ("learning rate", several(rates or ["lr"], "lr_")),
        ("norm of the gradient", several(norms, "grad_norm_")),
        (SECONDS, several(["time", "data_time"])),
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
    named = list(zip(runs, names, range(len(runs)), strict=True))

    def train(column: str) -> list[Line | None]:
        return [_train_line(run, unit, column, name, colour) for run, name, colour in named]

    def val(of: Metric | None, unit: str = unit) -> list[Line | None]:
        return [_val_line(run, unit, of, name, colour) for run, name, colour in named]

    rows = [
        ("training loss", train("loss")),
        ("val_loss", val(VAL_LOSS)),
        (_own_title(metric), val(metric)),
        ("learning rate", train("lr")),
        ("norm of the gradient", train("grad_norm")),
    ]
    over_hours = [(metric.name, val(metric, "hours"))] if metric else []
    return _panels(rows, unit) + _panels(over_hours, "hours")


def x_unit(runs: Sequence[Run]) -> str:
    """``"epochs"`` where all runs count them, else ``"steps"``."""
    return "epochs" if all(run.steps_per_epoch for run in runs) else "steps"


def _own_title(metric: Metric | None) -> str:
    """Title of the panel of a metric; empty for the loss, which has one anyway."""
    return "" if metric is None or metric.name == VAL_LOSS.name else metric.name


def _panels(
    rows: Sequence[tuple[str, Sequence[Line | None]]], unit: str, events: tuple[float, ...] = ()
) -> list[Panel]:
    """The panels that have a title and a line."""
    found = [(title, tuple(line for line in lines if line is not None)) for title, lines in rows]
    return [
        Panel(title, unit, lines, events, from_zero=title == SECONDS)
        for title, lines in found
        if title and lines
    ]


def _train_line(
    run: Run, unit: str, name: str, label: str, colour: int, smooth: bool = True
) -> Line | None:
    if name not in run.train or run.train[name].isna().all():
        return None
    values, x = run.train[name].astype(float), _x(run.train, run, unit)
    if not smooth or name == "lr":
        return Line(label, x, values.to_numpy(), colour)
    return Line(label, x, smoothed(values).to_numpy(), colour, raw=values.to_numpy())


def _val_line(run: Run, unit: str, metric: Metric | None, label: str, colour: int) -> Line | None:
    best = metric.best_row(run.val) if metric is not None else None
    if metric is None or best is None:
        return None
    rows = run.val.dropna(subset=[metric.name])
    index, y = rows.index.get_loc(best.name), rows[metric.name].to_numpy(float)
    return Line(label, _x(rows, run, unit), y, colour, is_marked=True, best=index)


def _per_unit(run: Run, unit: str) -> int:
    return run.steps_per_epoch or 1 if unit == "epochs" else 1


def _x(rows: pd.DataFrame, run: Run, unit: str) -> np.ndarray:
    if unit == "hours":
        return rows["wall_s"].to_numpy() / 3600
    return rows["step"].to_numpy() / _per_unit(run, unit)


def _events(run: Run, unit: str) -> tuple[float, ...]:
    """Where a resumed start went on and where a phase of ``StageUnfreezeHook`` began."""
    resumed = run.sessions[run.sessions["resumed"].astype(bool)]
    starts = (resumed["last_step"] - resumed["steps"]) / _per_unit(run, unit)
    options = run.hook("StageUnfreezeHook") if unit == "epochs" else None
    phases = [phase["begin"] for phase in options["phases"]] if options else []
    last = run.train["step"].max() / _per_unit(run, unit) if len(run.train) else 0
    return tuple(x for x in sorted({*starts.tolist(), *phases}) if 0 < x < last)
