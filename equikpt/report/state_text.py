"""Rows of title and text about a run's state, which the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from equikpt.report.run.curves import train_loss_at
from equikpt.report.run.run_state import State, Status

Lines = Iterator[tuple[str, str]]


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


def number(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def state_lines(state: State) -> list[tuple[str, str]]:
    """All that there is to say, from the whole to the details."""
    parts = (_progress, _training, _validation, _schedule, _files)
    return [(title, text) for part in parts for title, text in part(state) if text]


def _progress(state: State) -> Lines:
    def of(total: int | None) -> str:
        return "" if total is None else f" of {total}"

    words, plan, record = [state.status.value], state.plan, state.run.record
    if state.status is Status.VALIDATING and record is not None and record.position is not None:
        words[0] += f" ({record.position[0]} of {record.position[1]})"
    if state.status in (Status.STALLED, Status.KILLED):
        words[0] += f": nothing was written for {duration(state.silent_s)}"
    if state.epoch is not None:
        words.append(f"epoch {state.epoch}{of(plan.max_epochs)}")
    words.append(f"step {state.step}{of(plan.max_steps)}")
    if plan.max_steps:
        words[-1] += f" ({100 * state.step // plan.max_steps}%)"
    yield "state", ", ".join(words)
    words = [f"{duration(state.elapsed_s)} {'in all' if state.status.is_over else 'so far'}"]
    if state.left_s is not None:
        words.append(f"about {duration(state.left_s)} left")
    train = state.run.train
    if len(train) and "time" in train:
        last = train.iloc[-1]
        words.append(f"a step {number(last['time'])} s")
        if "data_time" in train:
            words[-1] += f", of which {last['data_time'] / last['time']:.0%} waiting for data"
    yield "time", "; ".join(words)


def _training(state: State) -> Lines:
    train = state.run.train
    if not len(train):
        return
    last = train.iloc[-1]

    def named(prefix: str) -> list[str]:
        """``head 0.001`` for what is logged as ``lr_head``."""
        names = [str(name) for name in last.index if str(name).startswith(prefix)]
        return [
            f"{name.removeprefix(prefix)} {number(last[name])}"
            for name in names
            if pd.notna(last[name])
        ]

    if "loss" in train:
        terms = named("loss_")
        loss = f"{number(last['loss'])} (at first {number(train['loss'].iloc[0])})"
        yield "training loss", loss + (f"; {', '.join(terms)}" if len(terms) > 1 else "")
    rates = named("lr_") or ([number(last["lr"])] if "lr" in train else [])
    yield "learning rate", ", ".join(rates)
    norms = [number(last["grad_norm"])] if "grad_norm" in train else []
    yield "gradient norm", "; ".join([*norms, *named("grad_norm_")])


def _validation(state: State) -> Lines:
    run, metric, best = state.run, state.metric, state.best
    if metric is not None and best is not None:
        text = f"{number(best[metric.name])} in {run.when(best['step'])}, after "
        text += f"{duration(best['wall_s'])}; now {number(run.val[metric.name].dropna().iloc[-1])}"
        yield f"best {metric.name} ({metric.rule} is better)", text
    if "val_loss" in run.val and "loss" in run.train and len(run.val):
        value = run.val["val_loss"].iloc[-1]
        trained = float(train_loss_at(state, run.val["step"])[-1])
        ratio = f", {value / trained:.2f} times the training loss" if trained > 0 else ""
        yield "validation loss", number(value) + ratio


def _schedule(state: State) -> Lines:
    patience, epoch = state.patience, state.epoch
    if patience is not None and patience.is_logged:
        text = f"{patience.waited} of {patience.patience} validations without a gain of "
        yield "early stopping", text + f"{patience.min_delta:g} in {patience.metric}"
    options = state.run.hook("StageUnfreezeHook")
    if options is not None and state.phase is not None:
        phases, done = options["phases"], state.phase + 1
        text = f"{done} of {len(phases)}, {phases[state.phase]['name']}"
        if done < len(phases):
            text += f"; the next begins in epoch {phases[done]['begin'] + 1}"
        yield "phase", text
    options = state.run.hook("PipelineSwitchHook")
    if options is not None and epoch is not None:
        begins = [switch["begin"] + 1 for switch in options["switches"]]
        passed = [begin for begin in begins if begin <= epoch]
        coming = [begin for begin in begins if begin > epoch]
        text = f"since epoch {passed[-1]} number {len(passed)}" if passed else "the first"
        yield "augmentation", text + (f"; the next begins in epoch {coming[0]}" if coming else "")


def _files(state: State) -> Lines:
    run = state.run
    files = filter(None, (run.checkpoints.newest, *run.checkpoints.best))
    yield "checkpoints", ", ".join(path.name for path in files)
    if len(run.sessions) > 1:
        yield "starts", f"{len(run.sessions)}, of which {run.sessions['resumed'].sum()} resumed"
    if run.unreadable_rows:
        yield "left out", f"unreadable lines of scalars.json: {run.unreadable_rows}"
    yield "not known", run.note
    if run.config_gaps:
        gaps = ", ".join(run.config_gaps)
        yield "left out", f"of the config, which is read and not run: {gaps}"
