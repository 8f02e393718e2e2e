"""Each rule finds the curve that was planted for it, and nothing in a healthy one."""

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


# --- curves with something planted, and the same without it ---

LOSS, NAN = falling(), np.nan
VAL = LOSS[1::2]
PARABOLA = 2 + 0.0015 * (DONE - 19.0) ** 2
FLAT, FLAT_VAL = np.maximum(2.0, LOSS) * noise(2, 120, 0.01), np.maximum(2.0, VAL)
FLAT_VAL = FLAT_VAL + 0.01 * (DONE > 30)
NORMS = np.where(ROWS > 90, 900.0, 5.0) * noise(1, 120)
SAVE_AP = dict(checkpoint=dict(type="CheckpointHook", save_best="AP", rule="greater"))
BY_AP = config(400, default_hooks=SAVE_AP)
STOP = dict(early_stopping=dict(type="EarlyStoppingHook", monitor="coco/ap"))

PLANTED = {
    # code, texts of the issue, the run
    "nan": (
        *("not_finite", ["error", "training loss is nan since epoch 26", "lr (now 0.004)"]),
        dict(losses=np.where(ROWS >= 50, NAN, LOSS)),
    ),
    "infinite": (
        *("not_finite", ["training loss is inf since epoch 26"]),
        dict(losses=np.where(ROWS >= 50, np.inf, LOSS)),
    ),
    "nan once": (
        *("not_finite", ["warning", "training loss was nan in epoch 26"]),
        dict(losses=np.where(ROWS == 50, NAN, LOSS)),
    ),
    "nan in validation": (
        *("not_finite", ["error", "validation loss is nan since epoch 31"]),
        dict(val_losses=np.where(DONE >= 30, NAN, 1.0)),
    ),
    "fell far and rose ten times": (
        *("diverging", ["error"]),
        dict(losses=np.append(falling(floor=0.01, pace=8.0)[:80], np.geomspace(0.01, 0.3, 40))),
    ),
    "stands": (
        *("not_learning", ["error", ": Raise optim_wrapper"]),
        dict(losses=10.0 * noise(0, 120, 0.002)),
    ),
    "rises": (
        *("not_learning", ["error", ": Lower optim_wrapper"]),
        dict(losses=np.geomspace(10.0, 40.0, 120) * noise(0, 120, 0.002)),
    ),
    "validation explodes": (
        *("exploding", ["error"]),
        dict(val_losses=VAL * np.where(DONE > 40, 300.0, 1.0)),
    ),
    "gradient explodes": (
        *("exploding_gradient", ["error"]),
        dict(losses=np.where(ROWS > 90, 2.5, LOSS), grad_norm=NORMS),
    ),
    "gradient is not finite row after row": (
        *("exploding_gradient", ["error", "is not finite"]),
        dict(grad_norm=np.where(ROWS > 100, NAN, 5.0)),
    ),
    "a part has no gradient": (
        *("vanishing_gradient", ["warning", "The gradient of neck is below 1e-06"]),
        dict(grad_norm_head=1.0, grad_norm_neck=1e-9),
    ),
    "overfitting": (
        *("overfitting", ["warning", "since epoch 20:", "weight_decay (now 0.05)"]),
        dict(losses=falling(pace=40.0), val_losses=PARABOLA),
    ),
    "a gap": (
        *("gap", ["warning", "4.2 times the training loss"]),
        dict(val_losses=np.maximum(4.5, VAL), cfg=config(61), silent_s=1e9),
    ),
    "a plateau": (
        *("plateau", ["warning", "param_scheduler"]),
        dict(losses=FLAT, val_losses=FLAT_VAL),
    ),
    "a metric that is not logged": (
        *("unlogged_metric", ["error", "coco/ap", "coco/AP"]),
        dict(cfg=config(400, default_hooks=STOP), metrics={"coco/AP": np.linspace(0, 1, EPOCHS)}),
    ),
    "waits for data": (
        *("waits_for_data", ["warning", "30% of a step", "num_workers (now 2)"]),
        dict(data_time=np.where(ROWS < 3, 0.9, 0.3)),
    ),
    "steps grow slower": ("grows_slower", ["warning"], dict(time=np.where(ROWS > 110, 4.0, 1.0))),
    "validates long": (
        *("validates_long", ["info", "75% of the time"]),
        dict(val_losses=VAL, cfg=config(EPOCHS), val_s=60.0),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_curve_is_found(name):
    code, texts, run = PLANTED[name]
    found = only(made_state(**dict(losses=LOSS, cfg=config(400)) | run))
    assert found.code == code
    said = f"{found.severity}: {found.sentence}: {found.fix}"
    assert [text for text in texts if text not in said] == []


NOTHING = {
    "gradient grows while the loss falls": dict(losses=falling(pace=60.0), grad_norm=NORMS),
    "steps that mixed precision skips": dict(grad_norm=np.where(ROWS % 10 == 5, np.inf, 5.0)),
    "the watched metric still gains": dict(
        losses=falling(pace=40.0),
        val_losses=PARABOLA,
        cfg=BY_AP,
        metrics=dict(AP=np.linspace(0, 1, EPOCHS)),
    ),
    "averaged weights are validated, and lag behind": dict(
        losses=falling(floor=0.2), val_losses=falling(start=100.0, floor=2.0, pace=40.0)[1::2]
    ),
    "stands near its end": dict(losses=FLAT, val_losses=FLAT_VAL, cfg=config(70)),
    "stands in the schedule's landing": dict(
        losses=FLAT, val_losses=FLAT_VAL, lr=np.where(ROWS > 60, 1e-5, 4e-3)
    ),
    "stood, and is over": dict(losses=FLAT, val_losses=FLAT_VAL, silent_s=1e9),
    "waits a little": dict(data_time=np.where(ROWS < 3, 0.9, 0.15)),
    "steps grow slower a little": dict(time=np.where(ROWS > 110, 2.0, 1.0)),
    "validates a while": dict(val_losses=VAL, cfg=config(EPOCHS), val_s=10.0),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_similar_curve_is_left_alone(name):
    assert rules(made_state(**dict(losses=LOSS, cfg=config(400)) | NOTHING[name])) == set()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "end", [7.0, 20.0, 500.0], ids=["most of the way back", "above its start", "far above"]
)
def test_a_loss_that_diverges(seed, end):
    losses = np.append(LOSS[:60], np.geomspace(1.5, end, 60)) * noise(seed, 120)
    assert only(made_state(losses, cfg=config(400))).code == "diverging"


@pytest.mark.parametrize("seed", range(10))
def test_overfitting_is_found_in_noise(seed):
    losses = falling(pace=40.0) * noise(seed, 120, 0.03)
    val = PARABOLA + np.random.default_rng(seed).normal(0, 0.02, EPOCHS)
    found = only(made_state(losses, val, config(400)))
    assert found.code == "overfitting"
    epoch = int(found.sentence.split("since epoch ")[1].split(":")[0])
    assert epoch == pytest.approx(20, abs=5)


def test_overfitting_needs_a_metric_that_falls_and_a_training_loss_that_does_not_rise():
    falls = dict(AP=1 - abs(DONE - 19.0) / 60)
    assert "overfitting" in rules(made_state(falling(pace=40.0), PARABOLA, BY_AP, metrics=falls))
    rising = made_state(np.repeat(PARABOLA, 2), PARABOLA, config(400))
    assert "overfitting" not in rules(rising)


def test_steps_after_an_epochs_last_row_are_not_part_of_validation():
    state = made_state(LOSS, VAL, config(EPOCHS), val_s=15.0)
    train = state.run.train
    half = replace(state.run, train=train[train["step"] % 20 == 10])
    assert rules(state_of(half, now_s=0.0)) == set()


def test_the_worst_comes_first():
    losses = np.where(ROWS >= 50, np.nan, LOSS)
    found = diagnose(made_state(losses, VAL, val_s=60.0, data_time=0.5))
    assert [each.severity for each in found] == ["error", "warning", "info"]
