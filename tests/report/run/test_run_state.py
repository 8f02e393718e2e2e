"""Plan, watched metric, early stopping and status of runs."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mmengine.hooks import EarlyStoppingHook

from equikpt.report.run.run_folder import read_run
from equikpt.report.run.run_state import (
    Metric,
    Status,
    better_direction,
    patience_of,
    plan_of,
    seconds_per_step,
    state_of,
    watched_metric,
)
from tests.report.written_runs import change_record, config, made_state, write_start


def hooks(**options):
    return config(default_hooks=options)


# --- metrics ---


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *[(name, "greater") for name in ("coco/AP", "coco/AP (M)", "AUC", "PCK@0.05", "acc_pose")],
        *[(name, "greater") for name in ("landmark/within_2mm", "pointing/F1", "pixel/AR")],
        *[(name, "less") for name in ("val_loss", "loss_kpt", "landmark/error_px", "NME", "EPE")],
        *[(name, "less") for name in ("pointing/count_MAE", "landmark/error_px_p95", "swaps")],
    ],
)
def test_the_better_direction_of_a_metric_by_its_name(name, rule):
    assert better_direction(name) == rule


SAVE = dict(type="CheckpointHook")
STOP = dict(type="EarlyStoppingHook", monitor="b", rule="less")


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        # the checkpoint's rule comes first, then early stopping's, then names
        (hooks(a=SAVE | dict(save_best="a", rule="less"), b=STOP), ("a", "less")),
        (hooks(a=SAVE, b=STOP), ("b", "less")),
        (hooks(a=SAVE | dict(save_best=["a", "b"])), ("a", "greater")),
        (hooks(a=SAVE | dict(save_best="auto")), ("val_loss", "less")),
        (hooks(a=None), ("val_loss", "less")),
    ],
    ids=["checkpoint", "early stopping", "the first of a list", "auto", "neither"],
)
def test_the_metric_that_a_run_watches(cfg, expected):
    run = made_state([1.0] * 4, [1.0, 1.0], cfg, metrics=dict(a=[1.0, 1.0], b=[2.0, 2.0])).run
    assert watched_metric(run) == Metric(*expected)
    assert watched_metric(made_state([1.0], cfg=hooks()).run) is None


def test_the_best_row_and_the_plan():
    val = pd.DataFrame(dict(step=[1, 2, 3, 4], a=[np.nan, 3.0, 1.0, 3.0]))
    assert Metric("a", "greater").best_row(val)["step"] == 4
    assert Metric("a", "less").best_row(val)["step"] == 3
    assert Metric("b", "less").best_row(val) is None
    plan = plan_of(made_state([1.0] * 4, cfg=config(7)).run)
    assert (plan.max_epochs, plan.max_steps, plan.validates) == (7, 140, True)
    by_steps = config(train_cfg=dict(by_epoch=False, max_iters=90, val_interval=30))
    plan = plan_of(made_state([1.0] * 4, cfg=by_steps).run)
    assert (plan.max_epochs, plan.max_steps, plan.val_interval) == (None, 90, 30)


# --- early stopping ---


def stopping(values, **options):
    cfg = hooks(stop=dict(type="EarlyStoppingHook", monitor="score", **options))
    return patience_of(
        made_state(np.ones(2 * len(values)), cfg=cfg, metrics=dict(score=values)).run
    )


@pytest.mark.parametrize(
    "options",
    [
        dict(rule="greater", min_delta=0.0, patience=3),
        dict(rule="less", min_delta=0.02, patience=4),
        dict(rule="greater", patience=100),  # MMEngine's own min_delta
        dict(rule="less", min_delta=0.0, stopping_threshold=0.1),
        dict(rule="greater", min_delta=0.001, stopping_threshold=0.9),
    ],
    ids=lambda options: str(sorted(options)),
)
@pytest.mark.parametrize("length", [1, 4, 30])
def test_early_stopping_counts_as_mmengine_does(options, length):
    rng = np.random.default_rng(length)
    for _ in range(20):
        values = rng.uniform(0, 1, length).tolist()
        hook = EarlyStoppingHook(monitor="score", **options)
        loop = SimpleNamespace(stop_training=False)
        runner = SimpleNamespace(train_loop=loop, logger=SimpleNamespace(info=lambda line: None))
        for value in values:
            if not loop.stop_training:
                hook.after_val_epoch(runner, dict(score=value))
        found = stopping(values, **options)
        assert (found.waited, found.stopped) == (hook.wait_count, loop.stop_training)


def test_a_value_that_is_no_number_stops_unless_that_is_off():
    options = dict(rule="less", min_delta=0.0, patience=9)
    assert stopping([1.0, np.nan], **options).stopped
    assert not stopping([1.0, np.nan, 0.5], check_finite=False, **options).stopped


def test_a_resumed_start_counts_on(tmp_path):
    cfg = hooks(stop=dict(type="EarlyStoppingHook", monitor="a", rule="less", patience=9))
    val = {epoch: dict(a=1.0) for epoch in range(1, 7)}
    write_start(tmp_path, [1.0] * 8, val, cfg=cfg)
    write_start(tmp_path, [1.0] * 4, val, "20260102_100000", epochs_before=4, cfg=cfg)
    assert patience_of(read_run(tmp_path)).waited == 5


def test_early_stopping_without_the_hook_or_its_metric():
    assert patience_of(made_state([1.0]).run) is None
    found = patience_of(made_state([1.0] * 4, [1.0, 1.0], hooks(stop=STOP)).run)
    assert not found.is_logged
    assert not found.stopped


# --- status ---


def read(work_dir, silent_s: float = 0.0):
    run = read_run(work_dir)
    return state_of(run, now_s=run.active_s + silent_s)


@pytest.mark.parametrize(
    ("silent_s", "step_s", "status"),
    [
        (0, 1.0, Status.TRAINING),
        (55, 1.0, Status.TRAINING),  # a minute says nothing
        (100, 1.0, Status.STALLED),
        (290, 1.0, Status.STALLED),
        (400, 1.0, Status.KILLED),
        (590, 20.0, Status.TRAINING),  # slow steps may be silent for longer
        (610, 20.0, Status.STALLED),
    ],
)
def test_silence_is_measured_by_the_usual_gap_between_lines(tmp_path, silent_s, step_s, status):
    write_start(tmp_path, [1.0] * 6, {1: {}, 2: {}}, cfg=config(), step_s=step_s)  # 10 steps a line
    assert read(tmp_path, silent_s).status is status


def test_one_long_silence_does_not_make_it_usual(tmp_path):
    write_start(tmp_path, [1.0] * 6, {1: {}}, cfg=config())
    change_record(tmp_path, longest_gaps_s=[10.0, 32_000.0])  # the laptop slept
    assert read(tmp_path, 400).status is Status.KILLED


def test_the_first_validation_may_take_its_time(tmp_path):
    write_start(tmp_path, [1.0, 1.0], cfg=config())
    assert read(tmp_path, 590).status is Status.TRAINING
    assert read(tmp_path, 610).status is Status.STALLED


def test_finished_is_a_run_with_its_last_epoch_and_validation(tmp_path):
    write_start(tmp_path / "a", [1.0] * 4, {1: {}, 2: {}}, cfg=config(2))
    write_start(tmp_path / "b", [1.0] * 4, {1: {}}, cfg=config(2))
    assert read(tmp_path / "a").status is Status.FINISHED
    assert read(tmp_path / "b").status is Status.TRAINING


def test_finished_without_validation_and_with_steps_after_the_last_row(tmp_path):
    write_start(tmp_path, [1.0] * 3, cfg=config(2, val_dataloader=None))
    assert read(tmp_path).status is Status.TRAINING
    change_record(tmp_path, step=40)
    assert (read(tmp_path).status, read(tmp_path).step) == (Status.FINISHED, 40)


def test_a_start_without_a_step_is_starting(tmp_path):
    write_start(tmp_path, [], cfg=config())
    state = read(tmp_path)
    assert (state.status, state.step, state.epoch, state.left_s) == (Status.STARTING, 0, 1, None)


def test_a_validation_on_its_way(tmp_path):
    write_start(tmp_path, [1.0] * 2, cfg=config())
    change_record(tmp_path, loop="val", position=(10, 30))
    assert (read(tmp_path).status, read(tmp_path).epoch) == (Status.VALIDATING, 1)


def test_a_run_that_lost_its_patience_is_over(tmp_path):
    hook = dict(type="EarlyStoppingHook", monitor="a", rule="less", patience=2)
    val = {epoch: dict(a=1.0) for epoch in (1, 2, 3)}
    folder = write_start(tmp_path, [1.0] * 6, val, cfg=hooks(early_stopping=hook))
    assert read(tmp_path).status is Status.STOPPED_EARLY
    scalars = folder / "vis_data" / "scalars.json"
    row = dict(loss=1.0, time=1.0, epoch=4, iter=70, step=70)
    scalars.write_text(scalars.read_text() + json.dumps(row) + "\n")
    change_record(tmp_path, step=70, loop="train", position=(10, 20))
    assert read(tmp_path).status is Status.TRAINING  # it went on all the same


def test_time_left_has_validations_in_it(tmp_path):
    write_start(tmp_path, [1.0] * 12, dict.fromkeys(range(1, 7), {}), cfg=config())
    state = read(tmp_path)
    assert seconds_per_step(state.run, state.plan) == pytest.approx(25 / 20, rel=0.05)
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
