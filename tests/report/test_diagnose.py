"""Each rule finds the curve that was planted for it, and nothing in a healthy one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equikpt.core.issues import Issue
from equikpt.report.diagnose import diagnose
from equikpt.report.run.run_state import State, state_of
from tests.report.written_runs import config, made_state

EPOCHS = 60
ROWS = np.arange(2 * EPOCHS)
DONE = np.arange(EPOCHS)


def falling(start: float = 10.0, floor: float = 1.0, pace: float = 20.0) -> np.ndarray:
    """(120,) training loss of a healthy run."""
    return floor + (start - floor) * np.exp(-ROWS / pace)


def noise(seed: int, size: int, level: float = 0.05) -> np.ndarray:
    """Factors around 1."""
    return np.exp(np.random.default_rng(seed).normal(0, level, size))


def rules(state: State) -> set[str]:
    return {each.code for each in diagnose(state)}


def only(state: State) -> Issue:
    """The one issue, which says where, how much and what to set."""
    (found,) = diagnose(state)
    return found


# --- healthy runs ---

HEALTHY = {
    "falls and levels off": falling(),
    "falls to a thousandth": falling(floor=0.01),
    "falls slowly": falling(start=0.3, floor=0.2, pace=80.0),
    "is negative in the end, as log-likelihoods are": falling(start=5.0, floor=-3.0),
    "rises where the augmentation changes": falling() * np.where(ROWS > 60, 1.5, 1.0),
    "falls anew where stages are released": falling() - 0.5 * (ROWS > 60),
    "peaks once": falling() * np.where(ROWS == 70, 8.0, 1.0),
    "climbs with each warm restart": falling() * (1 + 0.3 * (ROWS % 40 < 8)),
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gap", [0.8, 1.0, 1.8], ids=["below", "equal", "above"])
def test_a_healthy_run_is_left_alone(name, seed, gap):
    curve = HEALTHY[name]
    val = curve[1::2] + (gap - 1) * abs(curve[1::2])
    val = val + 0.05 * abs(val) * np.random.default_rng(seed).normal(0, 1, EPOCHS)
    norms = 5 * noise(seed, 2 * EPOCHS, 0.5)
    state = made_state(curve * noise(seed, 2 * EPOCHS), val, config(EPOCHS), grad_norm=norms)
    assert rules(state) == set()


@pytest.mark.parametrize("rows", [0, 1, 3, 19])
def test_too_few_rows_say_nothing(rows):
    assert rules(made_state(np.linspace(1, 2, rows), np.linspace(1, 2, rows // 2))) == set()


@pytest.mark.parametrize(
    "warm_up",
    [
        dict(type="LinearLR", begin=0, end=300, by_epoch=False),
        dict(type="WarmupLR", end=15, convert_to_iter_based=True),
    ],
    ids=["steps", "epochs"],
)
def test_a_warm_up_may_raise_loss_and_gradient(warm_up):
    schedule = [warm_up]
    losses = np.concatenate([np.linspace(10, 14, 30), falling(14.0)])
    norms = np.concatenate([np.geomspace(1, 300, 30), np.full(120, 5.0)])
    for rows in (30, 150):
        cfg = config(param_scheduler=schedule)
        assert rules(made_state(losses[:rows], cfg=cfg, grad_norm=norms[:rows])) == set()
    assert rules(made_state(losses[:30], grad_norm=norms[:30])) != set()


# --- the loss ---


LOSS, NAN = falling(), np.nan


@pytest.mark.parametrize(
    ("losses", "val", "severity", "sentence"),
    [
        (np.where(ROWS >= 50, NAN, LOSS), (), "error", "training loss is nan since epoch 26"),
        (np.where(ROWS >= 50, np.inf, LOSS), (), "error", "training loss is inf since epoch 26"),
        (np.where(ROWS == 50, NAN, LOSS), (), "warning", "training loss was nan in epoch 26"),
        (LOSS, np.where(DONE >= 30, NAN, 1.0), "error", "validation loss is nan since epoch 31"),
    ],
    ids=["nan", "inf", "once", "validation"],
)
def test_a_loss_that_is_no_number(losses, val, severity, sentence):
    found = only(made_state(losses, val, config(400)))
    assert (found.code, found.severity) == ("not_finite", severity)
    assert sentence in found.sentence
    assert "optim_wrapper.optimizer.lr (now 0.004)" in found.fix


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "end", [7.0, 20.0, 500.0], ids=["most of the way back", "above its start", "far above"]
)
def test_a_loss_that_diverges(seed, end):
    losses = np.concatenate([falling()[:60], np.geomspace(1.5, end, 60)]) * noise(seed, 120)
    state = made_state(losses, cfg=config(400))
    assert rules(state) == {"diverging"}
    assert "rose from" in only(state).sentence
    assert "Lower optim_wrapper.optimizer.lr (now 0.004)" in only(state).fix


def test_a_loss_that_fell_far_and_rose_ten_times_diverges():
    losses = np.concatenate([falling(floor=0.01, pace=8.0)[:80], np.geomspace(0.01, 0.3, 40)])
    assert rules(made_state(losses, cfg=config(400))) == {"diverging"}


@pytest.mark.parametrize(
    ("end", "word"), [(10.0, "Raise"), (40.0, "Lower")], ids=["stands", "rises"]
)
def test_a_loss_that_never_falls(end, word):
    losses = np.geomspace(10.0, end, 120) * noise(0, 120, 0.002)
    found = only(made_state(losses, cfg=config(400)))
    assert found.code == "not_learning"
    assert found.fix.startswith(word)


def test_a_validation_loss_that_explodes():
    val = falling()[1::2] * np.where(DONE > 40, 300.0, 1.0)
    found = only(made_state(falling(), val, config(400)))
    assert found.code == "exploding"
    assert found.severity == "error"


def test_a_gradient_that_explodes():
    norms = np.where(ROWS > 90, 900.0, 5.0) * noise(1, 120)
    losses = np.where(ROWS > 90, 2.5, falling())
    assert rules(made_state(losses, cfg=config(400), grad_norm=norms)) == {"exploding_gradient"}
    # a gradient that grows while the loss falls is none
    assert rules(made_state(falling(pace=60.0), cfg=config(400), grad_norm=norms)) == set()


def test_a_gradient_that_is_not_finite_row_after_row():
    overflows = np.where(ROWS % 10 == 5, np.inf, 5.0)  # steps that mixed precision skips
    assert rules(made_state(falling(), grad_norm=overflows)) == set()
    broken = np.where(ROWS > 100, np.nan, 5.0)
    assert rules(made_state(falling(), grad_norm=broken)) == {"exploding_gradient"}


def test_a_part_without_a_gradient_is_named():
    found = only(made_state(falling(), grad_norm_head=1.0, grad_norm_neck=1e-9))
    assert found.code == "vanishing_gradient"
    assert "The gradient of neck is below 1e-06" in found.sentence


# --- validation ---


@pytest.mark.parametrize("seed", range(10))
def test_overfitting_is_told_with_its_epoch(seed):
    losses = falling(pace=40.0) * noise(seed, 120, 0.03)
    val = 2 + 0.0015 * (DONE - 19.0) ** 2 + np.random.default_rng(seed).normal(0, 0.02, EPOCHS)
    found = only(made_state(losses, val, config(400)))
    assert found.code == "overfitting"
    epoch = int(found.sentence.split("since epoch ")[1].split(":")[0])
    assert epoch == pytest.approx(20, abs=5)
    assert "weight_decay (now 0.05)" in found.fix


def test_no_overfitting_while_the_watched_metric_gains():
    val = 2 + 0.0015 * (DONE - 19.0) ** 2
    hooks = dict(checkpoint=dict(type="CheckpointHook", save_best="AP", rule="greater"))
    cfg = config(400, default_hooks=hooks)
    gaining, lost = np.linspace(0, 1, EPOCHS), 1 - abs(DONE - 19.0) / 60
    losses = falling(pace=40.0)
    assert rules(made_state(losses, val, cfg, metrics=dict(AP=gaining))) == set()
    assert "overfitting" in rules(made_state(losses, val, cfg, metrics=dict(AP=lost)))


def test_no_overfitting_where_the_training_loss_rises_too():
    val = 2 + 0.0015 * (DONE - 19.0) ** 2
    losses = np.repeat(val, 2)
    assert "overfitting" not in rules(made_state(losses, val, config(400)))


def test_a_gap_that_does_not_close():
    val = np.maximum(4.5, falling()[1::2])
    found = only(made_state(falling(), val, config(61), silent_s=1e9))
    assert found.code == "gap"
    assert "4.2 times the training loss" in found.sentence


def test_a_gap_that_closes_is_none():
    """The averaged weights of EMA are validated, and lag behind."""
    val = falling(start=100.0, floor=2.0, pace=40.0)[1::2]
    assert rules(made_state(falling(floor=0.2), val, config(400))) == set()


def test_a_plateau_with_much_of_the_run_to_come():
    losses = np.maximum(2.0, falling()) * noise(2, 120, 0.01)
    val = np.maximum(2.0, falling()[1::2]) + 0.01 * (DONE > 30)
    found = only(made_state(losses, val, config(400)))
    assert found.code == "plateau"
    assert "param_scheduler" in found.fix
    # near its end, in the schedule's landing, or over, a run may stand
    assert rules(made_state(losses, val, config(70))) == set()
    rates = np.where(ROWS > 60, 1e-5, 4e-3)
    assert rules(made_state(losses, val, config(400), lr=rates)) == set()
    assert rules(made_state(losses, val, config(400), silent_s=1e9)) == set()


def test_a_metric_that_validation_does_not_log():
    hook = dict(type="EarlyStoppingHook", monitor="coco/ap")
    cfg = config(400, default_hooks=dict(early_stopping=hook))
    metrics = {"coco/AP": np.linspace(0, 1, EPOCHS)}
    found = only(made_state(falling(), cfg=cfg, metrics=metrics))
    assert found.code == "unlogged_metric"
    assert "coco/ap" in found.sentence
    assert "coco/AP" in found.fix


# --- time ---


@pytest.mark.parametrize(("share", "expected"), [(0.15, set()), (0.3, {"waits_for_data"})])
def test_a_loader_that_keeps_the_processor_waiting(share, expected):
    shares = np.where(ROWS < 3, 0.9, share)
    state = made_state(falling(), data_time=shares)
    assert rules(state) == expected
    if expected:
        assert only(state).sentence.startswith("30% of a step")
        assert "train_dataloader.num_workers (now 2)" in only(state).fix


@pytest.mark.parametrize(("factor", "expected"), [(2.0, set()), (4.0, {"grows_slower"})])
def test_steps_that_take_longer_and_longer(factor, expected):
    state = made_state(falling(), time=np.where(ROWS > 110, factor, 1.0))
    assert rules(state) == expected


@pytest.mark.parametrize(("val_s", "expected"), [(10.0, set()), (60.0, {"validates_long"})])
def test_validation_that_takes_most_of_the_time(val_s, expected):
    state = made_state(falling(), falling()[1::2], config(EPOCHS), val_s=val_s)
    assert rules(state) == expected
    if expected:
        assert "75% of the time" in only(state).sentence


def test_steps_after_an_epochs_last_row_are_not_part_of_validation():
    state = made_state(falling(), falling()[1::2], config(EPOCHS), val_s=15.0)
    train = state.run.train
    half = replace(state.run, train=train[train["step"] % 20 == 10])
    assert rules(state_of(half, now_s=0.0)) == set()


def test_the_worst_comes_first():
    losses = np.where(ROWS >= 50, np.nan, falling())
    found = diagnose(made_state(losses, falling()[1::2], val_s=60.0, data_time=0.5))
    assert [each.severity for each in found] == ["error", "warning", "info"]
