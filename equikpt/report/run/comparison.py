"""Several runs side by side: what they reached, when, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equikpt.report.diagnose.curves import place
from equikpt.report.run.config_differences import ABSENT
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import Metric, better_direction, metric_names, watched_metric
from equikpt.report.run.run_state import State
from equikpt.report.state_text import duration, number


def names_of(runs: Sequence[Run]) -> list[str]:
    """As much of each folder's end as tells the runs apart."""
    parts = [run.folder.resolve().parts for run in runs]
    longest = max(len(each) for each in parts)
    for length in range(1, longest + 1):
        names = [Path(*each[-length:]).as_posix() for each in parts]
        if len(set(names)) == len(names):
            break
    return names


def common_metric(runs: Sequence[Run]) -> Metric | None:
    """Find a metric that all runs logged, first one that a run watches."""
    validated = [run for run in runs if len(run.val)]
    if not validated:
        return None
    logged = set.intersection(*(set(metric_names(run)) for run in validated))
    for run in validated:
        metric = watched_metric(run)
        if metric is not None and metric.name in logged:
            return metric
    shared = next((name for name in metric_names(validated[0]) if name in logged), None)
    return Metric(shared, better_direction(shared)) if shared else watched_metric(validated[0])


def results(
    names: Sequence[str], states: Sequence[State], metric: Metric | None
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The header and a row a run: what it reached, when, and how long it took."""
    title = f"best {metric.name} ({metric.rule} is better)" if metric else "best"
    header = ("run", "state", title, "in", "after", "last losses", "a step", "time in all")
    return header, [
        (name, state.status.value, *_reached(state, metric), *_costs(state))
        for name, state in zip(names, states, strict=True)
    ]


def _reached(state: State, metric: Metric | None) -> tuple[str, str, str]:
    best = metric.best_row(state.run.val) if metric else None
    if metric is None or best is None:
        return ABSENT, ABSENT, ABSENT
    when = place(state, best["step"])
    return number(best[metric.name]), when, duration(best["wall_s"])


def _costs(state: State) -> tuple[str, str, str]:
    train, val = state.run.train, state.run.val
    losses = [
        f"{word} {number(frame[name].iloc[-1])}"
        for word, name, frame in (("train", "loss", train), ("val", "val_loss", val))
        if name in frame
    ]
    step_s = f"{number(train['time'].median())} s" if "time" in train else ABSENT
    return ", ".join(losses) or ABSENT, step_s, duration(state.elapsed_s)


def best_run(states: Sequence[State], metric: Metric | None) -> int | None:
    """Index of the run with the best value; None without any."""
    if metric is None:
        return None
    rows = [metric.best_row(state.run.val) for state in states]
    values = {i: float(row[metric.name]) for i, row in enumerate(rows) if row is not None}
    choose = max if metric.rule == "greater" else min
    return choose(values, key=lambda i: values[i]) if values else None
