"""Several runs side by side: results, their cost, and the settings in which the configs differ."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_state import (
    Metric,
    State,
    better_direction,
    metric_names,
    watched_metric,
)
from equikpt.report.state_text import duration, number

KEYS = (
    *("model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg"),
    *("test_cfg", "auto_scale_lr", "optim_wrapper", "param_scheduler", "val_evaluator"),
    *("test_evaluator", "default_hooks", "custom_hooks", "data_preprocessor", "load_from"),
    *("env_cfg", "log_processor", "visualizer", "randomness"),
)
"""Keys that MMEngine's runner builds a run from; others are variables of the config itself."""
ABSENT = "–"
MAX_LETTERS = 160
"""Length of a value."""

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Several runs as the terminal and the page show them.

    Args:
        names: As much of each folder's end as tells the runs apart.
        metric: Metric that all runs logged, first one that a run watches.
        header: Titles of ``rows``.
        rows: Result and cost of each run.
        best: Index of the run with the best value; None without any.
        differences: Settings in which the configs differ: key, then a value a run.
    """

    names: list[str]
    metric: Metric | None
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    best: int | None
    differences: list[tuple[str, ...]]


def compare(states: Sequence[State]) -> Comparison:
    """Compare runs."""
    runs = [state.run for state in states]
    names, metric = names_of(runs), common_metric(runs)
    title = f"best {metric.name} ({metric.rule} is better)" if metric else "best"
    reached = [metric.best_row(run.val) if metric else None for run in runs]
    values = {
        index: float(row[metric.name])
        for index, row in enumerate(reached)
        if metric is not None and row is not None
    }
    choose = max if metric is not None and metric.rule == "greater" else min
    rows: list[tuple[str, ...]] = []
    for index, (name, state) in enumerate(zip(names, states, strict=True)):
        row, train, val = reached[index], state.run.train, state.run.val
        best = (ABSENT, ABSENT, ABSENT)
        if row is not None:
            best = (number(values[index]), state.run.when(row["step"]), duration(row["wall_s"]))
        losses = [
            f"{word} {number(frame[column].iloc[-1])}"
            for word, column, frame in (("train", "loss", train), ("val", "val_loss", val))
            if column in frame
        ]
        step_s = f"{number(train['time'].median())} s" if "time" in train else ABSENT
        costs = (", ".join(losses) or ABSENT, step_s, duration(state.elapsed_s))
        rows.append((name, state.status.value, *best, *costs))
    return Comparison(
        names=names,
        metric=metric,
        header=("run", "state", title, "in", "after", "last losses", "a step", "time in all"),
        rows=rows,
        best=choose(values, key=values.__getitem__) if values else None,
        differences=config_differences(runs),
    )


def names_of(runs: Sequence[Run]) -> list[str]:
    """As much of each folder's end as tells the runs apart."""
    parts = [run.folder.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
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
    watched = [watched_metric(run) for run in validated]
    for metric in watched:
        if metric is not None and metric.name in logged:
            return metric
    shared = next((name for name in metric_names(validated[0]) if name in logged), None)
    return Metric(shared, better_direction(shared)) if shared else watched[0]


def config_differences(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Settings in which the configs differ, in the order of :data:`KEYS`.

    Elements of lists are named by their type: ``custom_hooks[EMAHook].momentum``. A part that a
    config lacks as a whole is one difference, and so is a setting that a config repeats, as the
    size of a heatmap in each pipeline. A run without a config differs in nothing.

    Returns:
        The key, with the number of further ones that differ in the same way, and a text a run.
    """
    flat = [_flattened(run.config) for run in runs]
    known = [each for each in flat if each]
    parts = [{path[:end] for path in each for end in range(1, len(path) + 1)} for each in known]
    found: dict[tuple[str, tuple[str, ...]], list[KeyPath]] = {}
    for path in dict.fromkeys(_whole(path, parts) for each in known for path in each):
        values = tuple(_value(each, path) for each in flat)
        if len({_value(each, path) for each in known}) > 1:
            found.setdefault((path[-1], values), []).append(path)
    ordered = sorted(found.items(), key=lambda pair: KEYS.index(pair[1][0][0]))
    return [
        (_dotted(paths[0]) + (f" (and {len(paths) - 1} more)" if paths[1:] else ""), *values)
        for (_, values), paths in ordered
    ]


def _flattened(config: Any) -> dict[KeyPath, str]:
    """The settings of a config by their path, each as text; none for None."""
    if config is None:
        return {}
    return dict(pair for key in KEYS for pair in _flat((key,), config.get(key)))


def _flat(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat((*path, str(name)), part)
    elif isinstance(value, (list, tuple)) and any(isinstance(part, dict) for part in value):
        # by type, so that one more in front does not move all others; else by index
        names = [
            str(part["type"]) if isinstance(part, dict) and "type" in part else str(index)
            for index, part in enumerate(value)
        ]
        for index, part in enumerate(value):
            same = names[:index].count(names[index])
            label = f"{names[index]} {same + 1}" if same else names[index]
            yield from _flat((*path, f"[{label}]"), part)
    else:
        yield path, str(list(value) if isinstance(value, tuple) else value)


def _whole(path: KeyPath, configs: Sequence[set[KeyPath]]) -> KeyPath:
    """The path, or that of the largest part around it that a config lacks as a whole."""
    lacking = [parts for parts in configs if path not in parts]
    ends = (path[:end] for end in range(1, len(path)))
    return next((end for end in ends if any(end not in parts for parts in lacking)), path)


def _value(flat: dict[KeyPath, str], path: KeyPath) -> str:
    if path in flat:
        return textwrap.shorten(flat[path], MAX_LETTERS)
    kind = (*path, "type")
    inside = [
        f"{_dotted(key[len(path) :])}={value}"
        for key, value in flat.items()
        if key[: len(path)] == path and key != kind
    ]
    if not inside and kind not in flat:
        return ABSENT
    return textwrap.shorten(f"{flat.get(kind, '')}({', '.join(inside)})", MAX_LETTERS)


def _dotted(path: KeyPath) -> str:
    return ".".join(path).replace(".[", "[")
