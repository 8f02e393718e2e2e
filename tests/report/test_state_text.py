from __future__ import annotations

import numpy as np
import pytest
import torch

from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_state import state_of
from equikpt.report.state_text import duration, state_lines
from tests.report.written_runs import config, made_state, write_start


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3570, "1 h 00 min"),
        (3 * 3600 + 300, "3 h 05 min"),
        (50 * 3600, "2 d 02 h"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


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
