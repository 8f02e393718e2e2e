from __future__ import annotations

import json

import numpy as np
import pytest

from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_state import Status, seconds_per_step, state_of
from tests.report.written_runs import change_record, config, made_state, write_start


def read(work_dir, silent_s: float = 0.0):
    run = read_run(work_dir)
    return state_of(run, now_s=run.active_s + silent_s)


@pytest.mark.parametrize(
    ("silent_s", "status"),
    [
        (0, Status.TRAINING),
        (55, Status.TRAINING),  # a minute says nothing
        (100, Status.STALLED),
        (290, Status.STALLED),
        (400, Status.KILLED),
    ],
)
def test_silence_is_measured_by_the_usual_gap_between_lines(tmp_path, silent_s, status):
    write_start(tmp_path, [1.0] * 6, {1: {}, 2: {}}, cfg=config())  # a line in 10 s
    assert read(tmp_path, silent_s).status is status


def test_slow_steps_may_be_silent_for_longer(tmp_path):
    write_start(tmp_path, [1.0] * 6, {1: {}, 2: {}}, cfg=config(), step_s=20.0)
    assert read(tmp_path, 590).status is Status.TRAINING
    assert read(tmp_path, 610).status is Status.STALLED


def test_one_long_silence_does_not_make_it_usual(tmp_path):
    write_start(tmp_path, [1.0] * 6, {1: {}}, cfg=config())
    change_record(tmp_path, longest_gaps_s=[10.0, 32_000.0])  # the laptop slept
    assert read(tmp_path, 400).status is Status.KILLED


def test_the_first_validation_may_take_its_time(tmp_path):
    write_start(tmp_path, [1.0, 1.0], cfg=config())
    assert read(tmp_path, 590).status is Status.TRAINING
    assert read(tmp_path, 610).status is Status.STALLED


@pytest.mark.parametrize(
    ("val", "status"),
    [({1: {}, 2: {}}, Status.FINISHED), ({1: {}}, Status.TRAINING)],
    ids=["validated", "the last validation is to come"],
)
def test_finished_is_a_run_with_its_last_epoch_and_validation(tmp_path, val, status):
    write_start(tmp_path, [1.0] * 4, val, cfg=config(2))
    assert read(tmp_path).status is status


def test_finished_without_validation_and_with_steps_after_the_last_row(tmp_path):
    write_start(tmp_path, [1.0] * 3, cfg=config(2, val_dataloader=None))
    assert read(tmp_path).status is Status.TRAINING
    change_record(tmp_path, step=40)
    assert read(tmp_path).status is Status.FINISHED
    assert read(tmp_path).step == 40


def test_a_start_without_a_step_is_starting(tmp_path):
    write_start(tmp_path, [], cfg=config())
    state = read(tmp_path)
    assert state.status is Status.STARTING
    assert (state.step, state.epoch, state.left_s) == (0, 1, None)


def test_a_validation_on_its_way(tmp_path):
    write_start(tmp_path, [1.0] * 2, cfg=config())
    change_record(tmp_path, loop="val", position=(10, 30))
    state = read(tmp_path)
    assert state.status is Status.VALIDATING
    assert state.epoch == 1


def test_a_run_that_lost_its_patience_is_over(tmp_path):
    hook = dict(type="EarlyStoppingHook", monitor="a", rule="less", patience=2)
    cfg = config(default_hooks=dict(early_stopping=hook))
    val = {epoch: dict(a=1.0) for epoch in (1, 2, 3)}
    folder = write_start(tmp_path, [1.0] * 6, val, cfg=cfg)
    assert read(tmp_path).status is Status.STOPPED_EARLY
    scalars = folder / "vis_data" / "scalars.json"
    row = dict(loss=1.0, time=1.0, epoch=4, iter=70, step=70)
    scalars.write_text(scalars.read_text() + json.dumps(row) + "\n")
    change_record(tmp_path, step=70, loop="train", position=(10, 20))
    assert read(tmp_path).status is Status.TRAINING  # it went on all the same


def test_time_left_has_validations_in_it(tmp_path):
    epochs = 6
    write_start(tmp_path, [1.0] * 2 * epochs, dict.fromkeys(range(1, epochs + 1), {}), cfg=config())
    run = read_run(tmp_path)
    state = state_of(run, now_s=run.active_s)
    assert seconds_per_step(run, state.plan) == pytest.approx(25 / 20, rel=0.05)
    assert state.left_s == pytest.approx(94 * 25, rel=0.05)
    assert state.elapsed_s == 6 * 25


def test_pace_is_the_recent_one():
    wall_s = np.concatenate([np.arange(1, 101) * 100.0, 10000 + np.arange(1, 101) * 10.0])
    state = made_state(np.ones(200), wall_s=wall_s)
    assert seconds_per_step(state.run, state.plan) == pytest.approx(1)


@pytest.mark.parametrize(("rows", "phase"), [(1, 0), (2, 1), (5, 1), (6, 2)])
def test_the_phase_is_that_of_the_epoch(rows, phase):
    phases = [dict(name=str(i), begin=i * (i + 1) // 2, frozen_stages=3 - i) for i in range(3)]
    hook = dict(type="StageUnfreezeHook", phases=phases)
    assert made_state([1.0] * rows, cfg=config(custom_hooks=[hook])).phase == phase
