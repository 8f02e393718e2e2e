from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from equikpt.report.diagnose.diagnoses import diagnose
from equikpt.report.terminal import comparison_tables, panel, plain_text, sparkline, watch
from tests.report.written_runs import config, made_state

DIVERGING = np.concatenate([np.geomspace(10, 1, 30), np.geomspace(1, 90, 30)])


def shown(*things) -> str:
    console = Console(file=io.StringIO(), width=120)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


def test_plain_text_has_a_fact_a_line_and_what_to_do():
    state = made_state(DIVERGING, cfg=config(90))
    text = plain_text(state, diagnose(state))
    lines = text.splitlines()
    assert lines[0] == "run"
    assert re.fullmatch(r" +state +training, epoch 31 of 90, step 600 of 1800 \(33%\)", lines[1])
    assert lines[-2].startswith("error: The training loss rose from 1")
    assert lines[-1].startswith("  Lower optim_wrapper.optimizer.lr")
    assert "\x1b" not in text


def test_the_panel_has_the_same_and_curves():
    state = made_state(DIVERGING, cfg=config(90))
    text = shown(panel(state, diagnose(state)))
    assert "step 600 of 1800 (33%)" in text
    assert "error: The training loss rose" in text
    assert "curve of training loss" in text
    assert "█" in text


def test_watching_ends_with_the_run():
    states = [made_state([2.0] * rows, cfg=config(3, val_dataloader=None)) for rows in (2, 4, 6)]
    left, waits = iter(states), []
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    last = watch(lambda: next(left), console, 3.0, waits.append)
    assert last is states[-1]
    assert waits == [3.0, 3.0]
    text = console.file.getvalue()
    assert all(f"epoch {epoch} of 3" in text for epoch in (2, 3))
    assert text.rindex("finished") > text.rindex("training,")


def test_watching_is_quiet_without_a_terminal():
    states = iter(made_state([2.0] * n, cfg=config(3, val_dataloader=None)) for n in (2, 4, 6))
    console = Console(file=io.StringIO(), width=100)
    watch(lambda: next(states), console, 3.0, lambda seconds: None)
    assert console.file.getvalue().count("epoch ") == 1


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (range(8), "▁▂▃▄▅▆▇█"),
        ([3.0], "▁"),
        ([5.0, 5.0], "▁▁"),
        ([0.0, np.nan, 1.0, np.inf], "▁ █ "),
        ([np.nan], ""),
        ([], ""),
        ([1, 100, 10_000], "▁▅█"),
        (np.repeat([0, 7], 500), "▁▁▁▁████"),
    ],
    ids=["rising", "one", "flat", "gaps", "nothing finite", "nothing", "logarithm", "many"],
)
def test_small_curves(values, line):
    assert sparkline(list(values), cells=8) == line


def test_tables_of_a_comparison():
    hook = dict(type="CheckpointHook", save_best="AP", rule="greater")
    cfg = config(9, default_hooks=dict(checkpoint=hook), custom_hooks=[dict(type="[odd]")])
    states = [
        made_state([2.0, 1.0], cfg=cfg, metrics=dict(AP=[0.5])),
        made_state([2.0, 1.0], cfg=config(7), metrics=dict(AP=[0.75])),
    ]
    text = shown(*comparison_tables(states))
    assert "best AP (greater" in text
    assert "0.75" in text
    assert "train_cfg.max_epochs" in text
    assert "[odd]()" in text  # not taken for rich's markup
