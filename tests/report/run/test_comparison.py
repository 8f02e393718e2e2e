from types import SimpleNamespace

import pytest
from mmengine.config import Config

from equikpt.report.run.comparison import (
    ABSENT,
    common_metric,
    compare,
    config_differences,
    names_of,
)
from equikpt.report.run.run_state import Metric
from tests.report.written_runs import config, made_state

ROWS = [1.0] * 4


def watching(name: str, rule: str = "less"):
    hook = dict(type="CheckpointHook", save_best=name, rule=rule)
    return config(2, default_hooks=dict(checkpoint=hook))


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["a/one", "a/two"], ["one", "two"]),
        (["one/run", "two/run"], ["one/run", "two/run"]),
        (["x/one/run", "y/one/run", "y/two/run"], ["x/one/run", "y/one/run", "y/two/run"]),
    ],
    ids=["last part", "two parts", "three parts"],
)
def test_names_distinguish_runs(tmp_path, folders, names):
    assert names_of([SimpleNamespace(folder=tmp_path / each) for each in folders]) == names


def test_runs_are_compared_by_what_one_watches_and_all_log():
    a = made_state(ROWS, cfg=watching("mine"), metrics=dict(mine=[1, 2])).run
    b = made_state(ROWS, cfg=watching("error"), metrics=dict(mine=[1, 2], error=[1, 2])).run
    unvalidated = made_state(ROWS, cfg=watching("other")).run
    assert common_metric([b, a]) == Metric("mine", "less")
    assert common_metric([b, unvalidated]) == Metric("error", "less")
    assert common_metric([unvalidated]) is None


@pytest.mark.parametrize(("rule", "best"), [("less", 1), ("greater", 2)])
def test_the_best_run_by_the_rule(rule, best):
    values = ([3, 2], [1, 5], [6, 7])
    cfg = watching("error", rule)
    states = [made_state(ROWS, cfg=cfg, metrics=dict(error=each)) for each in values]
    assert compare(states).best == best
    assert compare([made_state(ROWS)]).best is None


def test_a_row_a_run():
    losses, metrics = [4.0, 3.0, 2.0, 1.5], dict(error=[0.5, 0.7])
    states = [made_state(losses, [3.0, 2.5], watching("error"), metrics=metrics), made_state([])]
    found = compare(states)
    assert found.header[2] == "best error (less is better)"
    assert all(len(row) == len(found.header) for row in found.rows)
    result = ("finished", "0.5", "epoch 1", "21 s", "train 1.5, val 2.5", "1 s", "42 s")
    assert found.rows[0][1:] == result
    assert found.rows[1][2:] == (*[ABSENT] * 5, "0 s")


# --- differences of configs ---


def differences(*configs: dict | None) -> dict[str, tuple[str, ...]]:
    runs = [SimpleNamespace(config=None if each is None else Config(each)) for each in configs]
    return {key: tuple(values) for key, *values in config_differences(runs)}


def sized(px: int) -> dict:
    codec = dict(size=(px, px), sigma=px / 64)
    return dict(model=dict(head=codec), train_dataloader=dict(codec=codec))


HOOKS = [dict(type="EMAHook", momentum=0.1), dict(type="Other")]
LOOP = dict(val_interval=1)
FPN = dict(type="FPN", out_channels=64, inside=dict(a=1))
PAIRS = {
    "values": (
        dict(train_cfg=LOOP | dict(max_epochs=3), load_from=None),
        dict(train_cfg=LOOP | dict(max_epochs=5), load_from="a.pth"),
        {"train_cfg.max_epochs": ("3", "5"), "load_from": ("None", "a.pth")},
    ),
    "one more in front of a list moves no other": (
        dict(custom_hooks=HOOKS),
        dict(custom_hooks=[dict(type="New"), HOOKS[0] | dict(momentum=0.2), HOOKS[1]]),
        {
            "custom_hooks[EMAHook].momentum": ("0.1", "0.2"),
            "custom_hooks[New]": (ABSENT, "New()"),
        },
    ),
    "a type that comes twice": (
        dict(param_scheduler=[dict(type="LinearLR", end=1), dict(type="LinearLR", end=2)]),
        dict(param_scheduler=[dict(type="LinearLR", end=1), dict(type="LinearLR", end=3)]),
        {"param_scheduler[LinearLR 2].end": ("2", "3")},
    ),
    "elements without a type": (
        dict(custom_hooks=[dict(type="A", phases=[dict(begin=0), dict(begin=9)])]),
        dict(custom_hooks=[dict(type="A", phases=[dict(begin=0), dict(begin=8)])]),
        {"custom_hooks[A].phases[1].begin": ("9", "8")},
    ),
    "a part that one lacks": (
        dict(model=dict(type="A")),
        dict(model=dict(type="A", neck=FPN)),
        {"model.neck": (ABSENT, "FPN(out_channels=64, inside.a=1)")},
    ),
    "the same in several places": (
        sized(64),
        sized(128),
        {
            "model.head.size (and 1 more)": ("[64, 64]", "[128, 128]"),
            "model.head.sigma (and 1 more)": ("1.0", "2.0"),
        },
    ),
    "variables are no settings": (dict(work_dir="a", codec=1), dict(work_dir="b", codec=2), {}),
    "no config": (dict(load_from="a"), None, {}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_configs_differ_in(name):
    a, b, expected = PAIRS[name]
    assert differences(a, b) == expected
    assert differences(a, a) == {}


def test_long_values_are_cut_and_a_run_without_a_config_has_none():
    found = differences(dict(load_from="a" * 9), None, dict(load_from="word " * 99))["load_from"]
    assert found[1] == ABSENT
    assert len(found[2]) <= 160
