"""A run's state as rows of text, in the terminal."""

import io
import re

import numpy as np
import pytest
import torch
from rich.console import Console

from equikpt.report.diagnose import diagnose
from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_state import state_of
from equikpt.report.state_text import duration, state_lines
from equikpt.report.terminal import comparison_tables, panel, plain_text, sparkline, watch
from tests.report.written_runs import config, made_state, write_start

DIVERGING = np.concatenate([np.geomspace(10, 1, 30), np.geomspace(1, 90, 30)])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3570, "1 h 00 min"),
        (3 * 3600 + 300, "3 h 05 min"),
        (50 * 3600, "2 d 02 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_everything_about_a_run_that_trains():
    phases = [dict(name=name, begin=i * 5, frozen_stages=1 - i) for i, name in enumerate("ab")]
    hooks = [
        dict(type="StageUnfreezeHook", phases=phases),
        dict(type="PipelineSwitchHook", switches=[dict(begin=2, pipeline=[])]),
        dict(type="EarlyStoppingHook", monitor="val_loss", rule="less", min_delta=0.1, patience=7),
    ]
    state = made_state(
        [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 4.0], [6.0, 5.0, 5.5], config(10, custom_hooks=hooks),
        lr_backbone=0.0004, lr_head=0.004, grad_norm=3.0, grad_norm_head=2.0,
        loss_x=1.0, loss_y=3.0, loss_gone=np.nan, data_time=0.1,
    )  # fmt: skip
    assert dict(state_lines(state)) == {
        "state": "training, epoch 4 of 10, step 70 of 200 (35%)",
        "time": "73 s so far; about 2 min left; a step 1 s, of which 10% waiting for data",
        "training loss": "4 (at first 9); x 1, y 3",
        "learning rate": "backbone 0.0004, head 0.004",
        "gradient norm": "3; head 2",
        "best val_loss (less is better)": "5 in epoch 2, after 42 s; now 5.5",
        "validation loss": "5.5, 1.22 times the training loss",
        "early stopping": "1 of 7 validations without a gain of 0.1 in val_loss",
        "phase": "1 of 2, a; the next begins in epoch 6",
        "augmentation": "since epoch 3 number 1",
    }


def test_what_a_killed_run_left(tmp_path):
    write_start(tmp_path, [1.0, 1.0], cfg=config())
    start = write_start(tmp_path, [1.0], begin="20260102_100000", epochs_before=1)
    scalars = start / "vis_data" / "scalars.json"
    scalars.write_text("{broken\n" + scalars.read_text())
    for name in ("best_val_loss_epoch_1.pth", "epoch_1.pth"):
        torch.save({}, tmp_path / name)
    (tmp_path / "last_checkpoint").write_text("epoch_1.pth")
    run = read_run(tmp_path)
    lines = dict(state_lines(state_of(run, now_s=run.active_s + 7200)))
    assert lines["state"].startswith("killed: nothing was written for 2 h 00 min, epoch 2 of 100")
    assert lines["checkpoints"] == "epoch_1.pth, best_val_loss_epoch_1.pth"
    assert lines["starts"] == "2, of which 1 resumed"
    assert lines["left out"] == "unreadable lines of scalars.json: 1"
    assert "left" not in lines["time"]


@pytest.mark.parametrize("losses", [[], [np.nan], [1.0]], ids=["no row", "nan", "one row"])
def test_a_run_that_has_hardly_begun(losses):
    assert dict(state_lines(made_state(losses)))["state"].startswith("training")


def shown(*things) -> str:
    console = Console(file=io.StringIO(), width=120)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


def test_text_and_panel_have_a_fact_a_line_and_what_to_do():
    state = made_state(DIVERGING, cfg=config(90))
    text = plain_text(state, diagnose(state))
    first, second, *_, error, fix = text.splitlines()
    assert first == "run"
    assert re.fullmatch(r" +state +training, epoch 31 of 90, step 600 of 1800 \(33%\)", second)
    assert error.startswith("error: The training loss rose from 1")
    assert fix.startswith("  Lower optim_wrapper.optimizer.lr")
    assert "\x1b" not in text
    framed = shown(panel(state, diagnose(state)))
    for part in (second.split("  ")[-1], error[:30], "curve of training loss", "█"):
        assert part in framed


@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "file"])
def test_watching_ends_with_the_run(is_terminal):
    states = [made_state([2.0] * rows, cfg=config(3, val_dataloader=None)) for rows in (2, 4, 6)]
    left, waits = iter(states), []
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
    assert watch(lambda: next(left), console, 3.0, waits.append) is states[-1]
    assert waits == [3.0, 3.0]
    text = console.file.getvalue()
    assert ("epoch 2 of 3" in text) is is_terminal
    assert text.count("epoch 3 of 3") >= 1
    assert text.rindex("finished") > text.rfind("training,")


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
    for part in ("best AP (greater", "0.75", "train_cfg.max_epochs", "[odd]()"):  # no markup
        assert part in text
