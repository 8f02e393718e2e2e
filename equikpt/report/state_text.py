"""A run's state in words: the lines that the terminal and the page share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from equikpt.report.diagnose.curves import place, train_loss_at
from equikpt.report.run.run_plan import hook_options
from equikpt.report.run.run_state import State, Status

StateLine = tuple[str, str]
"""Title and words."""


def state_lines(state: State) -> list[StateLine]:
    """All that there is to say, from the whole to the details."""
    lines = [("state", _status(state)), ("time", _time(state))]
    lines += _training(state.run.train)
    lines += _validation(state)
    lines += _schedule(state)
    lines += _files(state)
    return [(title, words) for title, words in lines if words]


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 04 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60:02d} h"


def number(value: Any) -> str:
    """A figure with four digits that count."""
    return f"{value:.4g}"


def _status(state: State) -> str:
    words = [state.status.value]
    record = state.run.record
    if state.status is Status.VALIDATING and record is not None and record.position is not None:
        words[0] += f" ({record.position[0]} of {record.position[1]})"
    if state.status in (Status.STALLED, Status.KILLED):
        words[0] += f": nothing was written for {duration(state.silent_s)}"
    if state.epoch is not None:
        words.append(f"epoch {state.epoch}{_of(state.plan.max_epochs)}")
    words.append(f"step {state.step}{_of(state.plan.max_steps)}")
    if state.plan.max_steps:
        words[-1] += f" ({100 * state.step // state.plan.max_steps}%)"
    return ", ".join(words)


def _of(total: int | None) -> str:
    return "" if total is None else f" of {total}"


def _time(state: State) -> str:
    words = [f"{duration(state.elapsed_s)} so far"]
    if state.status.is_over:
        words = [f"{duration(state.elapsed_s)} in all"]
    if state.left_s is not None:
        words.append(f"about {duration(state.left_s)} left")
    train = state.run.train
    if len(train) and "time" in train:
        last = train.iloc[-1]
        words.append(f"a step {number(last['time'])} s")
        if "data_time" in train:
            words[-1] += f", of which {last['data_time'] / last['time']:.0%} waiting for data"
    return "; ".join(words)


def _training(train: pd.DataFrame) -> list[StateLine]:
    if not len(train):
        return []
    last = train.iloc[-1]
    loss = ""
    if "loss" in train:
        loss = f"{number(last['loss'])} (at first {number(train['loss'].iloc[0])})"
        terms = _named(last, "loss_")
        loss += f"; {', '.join(terms)}" if len(terms) > 1 else ""
    rates = _named(last, "lr_") or ([number(last["lr"])] if "lr" in train else [])
    norms = [number(last["grad_norm"])] if "grad_norm" in train else []
    return [
        ("training loss", loss),
        ("learning rate", ", ".join(rates)),
        ("gradient norm", "; ".join([*norms, *_named(last, "grad_norm_")])),
    ]


def _named(row: pd.Series, prefix: str) -> list[str]:
    """``head 0.001`` for what is logged as ``lr_head``."""
    return [
        f"{str(name).removeprefix(prefix)} {number(row[name])}"
        for name in row.index
        if str(name).startswith(prefix) and pd.notna(row[name])
    ]


def _validation(state: State) -> list[StateLine]:
    run, metric, best = state.run, state.metric, state.best
    lines: list[StateLine] = []
    if metric is not None and best is not None:
        last = run.val[metric.name].dropna().iloc[-1]
        words = f"{number(best[metric.name])} in {place(state, best['step'])}"
        words += f", after {duration(best['wall_s'])}; now {number(last)}"
        lines.append((f"best {metric.name} ({metric.rule} is better)", words))
    if "val_loss" in run.val and "loss" in run.train and len(run.val):
        row = run.val.iloc[-1]
        trained = float(train_loss_at(state, run.val["step"])[-1])
        words = number(row["val_loss"])
        if trained > 0:
            words += f", {row['val_loss'] / trained:.2f} times the training loss"
        lines.append(("validation loss", words))
    return lines


def _schedule(state: State) -> list[StateLine]:
    lines: list[StateLine] = []
    patience = state.patience
    if patience is not None and patience.is_logged:
        words = (
            f"{patience.waited} of {patience.patience} validations without a gain of "
            f"{patience.min_delta:g} in {patience.metric}"
        )
        lines.append(("early stopping", words))
    options = hook_options(state.run, "StageUnfreezeHook")
    if options is not None and state.phase is not None:
        phases = options["phases"]
        words = f"{state.phase + 1} of {len(phases)}, {phases[state.phase]['name']}"
        if state.phase + 1 < len(phases):
            words += f"; the next begins in epoch {phases[state.phase + 1]['begin'] + 1}"
        lines.append(("phase", words))
    options = hook_options(state.run, "PipelineSwitchHook")
    if options is not None and state.epoch is not None:
        begins = [switch["begin"] + 1 for switch in options["switches"]]
        passed = [begin for begin in begins if begin <= state.epoch]
        coming = [begin for begin in begins if begin > state.epoch]
        words = f"since epoch {passed[-1]} number {len(passed)}" if passed else "the first"
        words += f"; the next begins in epoch {coming[0]}" if coming else ""
        lines.append(("augmentation", words))
    return lines


def _files(state: State) -> list[StateLine]:
    run = state.run
    lines: list[StateLine] = []
    named = [path.name for path in (run.checkpoints.newest, *run.checkpoints.best) if path]
    lines.append(("checkpoints", ", ".join(named)))
    if len(run.sessions) > 1:
        resumed = int(run.sessions["resumed"].sum())
        lines.append(("starts", f"{len(run.sessions)}, of which {resumed} resumed"))
    if run.unreadable_rows:
        lines.append(("left out", f"unreadable lines of scalars.json: {run.unreadable_rows}"))
    if run.note:
        lines.append(("not known", run.note))
    if run.config_gaps:
        words = f"of the config, which is read and not run: {', '.join(run.config_gaps)}"
        lines.append(("left out", words))
    return lines
