from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mmengine.hooks import EarlyStoppingHook

from equikpt.report.run.early_stopping import replay
from tests.report.written_runs import config, made_state


def with_hook(**options):
    hooks = dict(early_stopping=dict(type="EarlyStoppingHook", monitor="score", **options))
    return config(default_hooks=hooks)


def run_of(values, **options):
    losses = np.ones(2 * len(values))
    return made_state(losses, cfg=with_hook(**options), metrics=dict(score=values)).run


OPTIONS = [
    dict(rule="greater", min_delta=0.0, patience=3),
    dict(rule="less", min_delta=0.02, patience=4),
    dict(rule="greater", patience=100),  # MMEngine's own min_delta
    dict(rule="less", min_delta=0.0, stopping_threshold=0.1),
    dict(rule="greater", min_delta=0.001, stopping_threshold=0.9),
]


@pytest.mark.parametrize("options", OPTIONS, ids=[str(sorted(each)) for each in OPTIONS])
@pytest.mark.parametrize("length", [1, 4, 30])
def test_it_counts_as_mmengine_does(options, length):
    rng = np.random.default_rng(length)
    for _ in range(20):
        values = rng.uniform(0, 1, length).tolist()
        hook = EarlyStoppingHook(monitor="score", **options)
        loop = SimpleNamespace(stop_training=False)
        runner = SimpleNamespace(train_loop=loop, logger=SimpleNamespace(info=lambda line: None))
        for value in values:
            if not loop.stop_training:
                hook.after_val_epoch(runner, dict(score=value))
        found = replay(run_of(values, **options))
        assert (found.waited, found.stopped) == (hook.wait_count, loop.stop_training)


def test_a_value_that_is_no_number_stops_unless_that_is_off():
    options = dict(rule="less", min_delta=0.0, patience=9)
    assert replay(run_of([1.0, np.nan], **options)).stopped
    assert not replay(run_of([1.0, np.nan, 0.5], check_finite=False, **options)).stopped


def test_a_resumed_start_counts_on():
    run = run_of([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], rule="greater", min_delta=0.0, patience=9)
    start = run.sessions.iloc[[0]]
    run.sessions.loc[0, "last_step"] = 80
    resumed = start.assign(steps=40, resumed=True)  # of 120: the last two validations
    run = SimpleNamespace(**{**vars(run), "sessions": pd.concat([run.sessions, resumed])})
    assert replay(run).waited == 5


def test_without_the_hook_or_its_metric():
    assert replay(made_state([1.0]).run) is None
    found = replay(made_state([1.0] * 4, [1.0, 1.0], with_hook(rule="less")).run)
    assert not found.is_logged
    assert not found.stopped
