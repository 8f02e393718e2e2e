from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equikpt.report.run.run_plan import (
    Metric,
    better_direction,
    hook_options,
    plan_of,
    setting,
    watched_metric,
)
from tests.report.written_runs import config, made_state


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


def hooks(**options):
    return config(default_hooks=options)


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        # the checkpoint's rule comes first, then early stopping's, then names
        (
            hooks(
                checkpoint=dict(type="CheckpointHook", save_best="a", rule="less"),
                early_stopping=dict(type="EarlyStoppingHook", monitor="b", rule="greater"),
            ),
            ("a", "less"),
        ),
        (
            hooks(
                checkpoint=dict(type="CheckpointHook"),
                early_stopping=dict(type="EarlyStoppingHook", monitor="b", rule="less"),
            ),
            ("b", "less"),
        ),
        (hooks(checkpoint=dict(type="CheckpointHook", save_best=["a", "b"])), ("a", "greater")),
        (hooks(checkpoint=dict(type="CheckpointHook", save_best="auto")), ("val_loss", "less")),
        (hooks(checkpoint=None), ("val_loss", "less")),
    ],
    ids=["checkpoint", "early stopping", "the first of a list", "auto", "neither"],
)
def test_the_metric_that_a_run_watches(cfg, expected):
    run = made_state([1.0] * 4, [1.0, 1.0], cfg, metrics=dict(a=[1.0, 1.0], b=[2.0, 2.0])).run
    assert tuple(vars(watched_metric(run)).values()) == expected


def test_nothing_is_watched_in_a_run_without_validations_and_rules():
    assert watched_metric(made_state([1.0], cfg=hooks()).run) is None


def test_the_best_row_is_the_first_of_equal_ones_and_never_nan():
    val = pd.DataFrame(dict(step=[1, 2, 3, 4], a=[np.nan, 3.0, 1.0, 3.0]))
    assert Metric("a", "greater").best_row(val)["step"] == 2
    assert Metric("a", "less").best_row(val)["step"] == 3
    assert Metric("b", "less").best_row(val) is None


def test_the_plan_by_epochs_and_by_steps():
    plan = plan_of(made_state([1.0] * 4, cfg=config(7)).run)
    assert (plan.max_epochs, plan.max_steps, plan.validates) == (7, 140, True)
    by_steps = config(train_cfg=dict(by_epoch=False, max_iters=90, val_interval=30))
    plan = plan_of(made_state([1.0] * 4, cfg=by_steps).run)
    assert (plan.max_epochs, plan.max_steps, plan.val_interval) == (None, 90, 30)


def test_options_of_hooks_and_settings_by_key():
    run = made_state([1.0], cfg=config(custom_hooks=[dict(type="EMAHook", momentum=0.1)])).run
    assert hook_options(run, "EMAHook") == dict(type="EMAHook", momentum=0.1)
    assert hook_options(run, "Missing") is None
    assert setting(run, "optim_wrapper.optimizer.lr") == 0.004
    assert setting(run, "optim_wrapper.optimizer.lr.more") is None
    assert setting(run, "nothing.here") is None
