from __future__ import annotations

from types import SimpleNamespace

import pytest

from equikpt.report.run.comparison import ABSENT, best_run, common_metric, names_of, results
from equikpt.report.run.run_plan import Metric
from tests.report.written_runs import config, made_state

LESS = Metric("error", "less")


def watching(name: str, rule: str):
    hook = dict(type="CheckpointHook", save_best=name, rule=rule)
    return config(default_hooks=dict(checkpoint=hook))


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["a/one", "a/two"], ["one", "two"]),
        (["one/run", "two/run"], ["one/run", "two/run"]),
        (["x/one/run", "y/one/run", "y/two/run"], ["x/one/run", "y/one/run", "y/two/run"]),
    ],
    ids=["last part", "two parts", "three parts"],
)
def test_names_tell_runs_apart(tmp_path, folders, names):
    assert names_of([SimpleNamespace(folder=tmp_path / each) for each in folders]) == names


def test_runs_are_compared_by_what_one_watches_and_all_log():
    a = made_state([1.0] * 4, cfg=watching("mine", "less"), metrics=dict(mine=[1, 2]))
    b = made_state(
        [1.0] * 4, cfg=watching("error", "less"), metrics=dict(mine=[1, 2], error=[1, 2])
    )
    unvalidated = made_state([1.0] * 4, cfg=watching("other", "less"))
    assert common_metric([b.run, a.run]) == Metric("mine", "less")
    assert common_metric([b.run, unvalidated.run]) == Metric("error", "less")
    assert common_metric([unvalidated.run]) is None


def test_the_best_run_by_the_rule():
    states = [made_state([1.0] * 4, metrics=dict(error=values)) for values in ([3, 2], [1, 5])]
    states.append(made_state([1.0] * 4))
    assert best_run(states, LESS) == 1
    assert best_run(states, Metric("error", "greater")) == 1
    assert best_run(states, Metric("missing", "less")) is None
    assert best_run(states, None) is None


def test_a_row_a_run():
    state = made_state([4.0, 3.0, 2.0, 1.5], [3.0, 2.5], config(2), metrics=dict(error=[0.5, 0.7]))
    header, rows = results(["mine", "bare"], [state, made_state([])], LESS)
    assert header[2] == "best error (less is better)"
    assert all(len(row) == len(header) for row in rows)
    assert rows[0] == (
        *("mine", "finished", "0.5", "epoch 1", "21 s"),
        *("train 1.5, val 2.5", "1 s", "42 s"),
    )
    assert rows[1][2:] == (*[ABSENT] * 5, "0 s")
