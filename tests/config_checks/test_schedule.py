"""Contracts of every config's schedule, simulated without a model, at any length."""

import copy
import functools
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import PARAM_SCHEDULERS

import equikpt.register  # noqa: F401
from equikpt.config_checks.schedule import scale_schedule

ROOT = Path(__file__).resolve().parents[2] / "configs"
LEAVES = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "_base_" not in path.parts
)
GROUPS = (1.0, 0.1)
"""Learning rates of the simulated param groups, as fractions of the config's."""


from_file = functools.cache(Config.fromfile)


def load(leaf: str, epochs: int | None) -> Config:
    cfg = copy.deepcopy(from_file(ROOT / leaf))
    if epochs is not None:
        scale_schedule(cfg, epochs)
    return cfg


def simulate(cfg: Config, epoch_length: int, improves: bool = False) -> torch.Tensor:
    """Rates of a whole training as fractions of each group's own, (steps, groups)."""
    full = cfg.optim_wrapper.optimizer.lr
    groups = [dict(params=[torch.zeros(1)], lr=full * fraction) for fraction in GROUPS]
    optimizer = torch.optim.SGD(groups, lr=full)
    epochs = cfg.train_cfg.max_epochs
    schedulers = [
        PARAM_SCHEDULERS.build(
            {"end": epochs if each.get("by_epoch", True) else epochs * epoch_length, **each},
            default_args=dict(optimizer=optimizer, epoch_length=epoch_length),
        )
        for each in cfg.param_scheduler
    ]
    rows = []
    for epoch in range(1, epochs + 1):
        for _ in range(epoch_length):
            rows.append([group["lr"] / full for group in optimizer.param_groups])
            optimizer.step()
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        validates = epoch % cfg.train_cfg.val_interval == 0 or epoch == epochs
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()
                if validates and getattr(scheduler, "need_val_args", False):
                    scheduler.step({scheduler.monitor: 1 / epoch if improves else 1.0})
    return torch.tensor(rows, dtype=torch.float64) / torch.tensor(GROUPS, dtype=torch.float64)


def restarts(cfg: Config, epoch_length: int) -> list[int]:
    """Steps at which a warm restart returns to the full rate."""
    for each in cfg.param_scheduler:
        if "periods" in each:
            ends = [sum(each.periods[: i + 1]) for i in range(len(each.periods) - 1)]
            return [round(end * epoch_length) for end in ends]
    return []


@pytest.mark.parametrize(
    ("epochs", "epoch_length"), [(None, 2), (40, 1), (20, 6), (3, 20), (1, 30)], ids=str
)
@pytest.mark.parametrize("leaf", LEAVES)
def test_the_rate_is_what_the_config_says(leaf, epochs, epoch_length):
    cfg = load(leaf, epochs)
    rates = simulate(cfg, epoch_length)
    visible = rates.clamp(min=1e-3)  # ReduceOnPlateauLR leaves a rate where 1e-8 is lost
    assert torch.allclose(visible[:, 0], visible[:, 1]), "param groups keep their ratio"
    rate = rates[:, 0]
    assert rate.max() <= 1 + 1e-9, "never above the configured rate"
    assert rate[0] <= 0.011, "warm-up starts low"
    back = restarts(cfg, epoch_length)
    steps = cfg.train_cfg.max_epochs * epoch_length
    peak = int(rate[: min([max(2, math.ceil(0.15 * steps)), *back])].argmax())
    assert rate[peak] > 0.75, "a short warm-up ends at the full rate"
    assert (rate[:peak].diff() > 0).all(), "warm-up rises all the way"
    rises = (rate[peak:].diff() > 1e-9).nonzero().flatten() + peak + 1
    assert set(rises.tolist()) <= set(back), "afterwards only restarts raise it"
    for step in back:
        assert step <= peak or rate[step] == pytest.approx(1.0), "a restart returns to all of it"


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize(("epochs", "epoch_length"), [(None, 2), (20, 6)], ids=str)
def test_the_rate_ends_where_the_schedule_says(leaf, epochs, epoch_length):
    cfg = load(leaf, epochs)
    last = cfg.param_scheduler[-1]
    end = float(simulate(cfg, epoch_length)[-1, 0])
    if last.type == "ReduceOnPlateauLR":
        scale = cfg.train_cfg.max_epochs
        assert last.factor ** (scale // (last.patience + 1)) <= end * 1.001 <= last.factor
        assert float(simulate(cfg, epoch_length, improves=True)[-1, 0]) == pytest.approx(1.0)
        return
    length = last.periods[-1] if "periods" in last else last.end - last.begin
    one_before_the_end = (1 - math.cos(math.pi / (length * epoch_length))) / 2
    assert last.eta_min_ratio * 0.999 <= end <= last.eta_min_ratio + 2 * one_before_the_end


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 1000])
def test_a_scaled_schedule_fits_its_length(leaf, epochs):
    """Phases, validations and patience lie within the training, in the order that they had."""
    cfg = load(leaf, epochs)
    assert cfg.train_cfg.max_epochs == epochs
    assert 1 <= cfg.train_cfg.val_interval <= epochs
    assert cfg.train_cfg.get("val_begin", 1) <= epochs
    assert 1 <= cfg.default_hooks.checkpoint.interval <= epochs
    assert cfg.default_hooks.early_stopping.patience >= 2
    for hook in cfg.default_hooks.values():
        for parts in (hook.get("phases"), hook.get("switches")):
            begins = [part["begin"] for part in parts or []]
            assert begins == sorted(set(begins))
            assert all(begin < epochs for begin in begins)
            assert not parts or "frozen_stages" not in parts[0] or begins[0] == 0


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_schedule_scaled_by_one_is_the_same(leaf):
    cfg, as_shipped = load(leaf, None), load(leaf, None)
    scale_schedule(cfg, cfg.train_cfg.max_epochs)
    assert cfg.to_dict() == as_shipped.to_dict()


def test_what_counts_epochs_is_scaled():
    cfg = load("experimental/rtmpose_m_ap10k_phases.py", 30)  # of 300
    assert [phase["begin"] for phase in cfg.default_hooks.phases.phases] == [0, 10, 15, 20]
    assert cfg.default_hooks.augmentation.switches[0]["begin"] == 10
    assert cfg.param_scheduler[1].milestones == [20]
    assert (cfg.param_scheduler[2].begin, cfg.param_scheduler[2].end) == (20, 30)
    assert cfg.train_cfg.val_interval == 1  # of 5, halves upwards
    assert cfg.default_hooks.early_stopping.patience == 10  # 20 × 5 epochs of 300, 10 × 1 of 30
    plateau = load("td-hm_hrnet-w18_p1p2-768x768.py", 40)  # of 200
    assert (plateau.param_scheduler[1].patience, plateau.param_scheduler[1].begin) == (2, 1)


@pytest.mark.parametrize(
    ("end", "epochs", "expected"),
    [(500, 10, 50), (500, 1, 5), (50, 1, 2)],  # one step would leave the rate at a tenth
)
def test_steps_are_scaled_too(end, epochs, expected):
    warm_up = dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=end)
    cfg = Config(dict(train_cfg=dict(max_epochs=100), param_scheduler=warm_up))
    scale_schedule(cfg, epochs)
    assert cfg.param_scheduler.end == expected


@pytest.mark.parametrize("epochs", [0, -1, 2.5, "ten", True, None], ids=str)
def test_no_number_of_epochs(epochs):
    with pytest.raises(ValueError, match=r"expected a number of epochs of at least 1, got"):
        scale_schedule(Config(dict(train_cfg=dict(max_epochs=10))), epochs)
    with pytest.raises(ValueError, match=r"train_cfg\.max_epochs"):
        scale_schedule(Config(dict(train_cfg=dict(max_iters=10))), 5)


def test_a_restart_without_a_rate_to_multiply():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    with pytest.raises(ValueError, match="eta_min_ratio"):
        PARAM_SCHEDULERS.build(
            dict(type="ChainedCosineRestartLR", optimizer=optimizer, periods=[2], eta_min_ratio=0)
        )


def test_mmengines_own_pair_is_why():
    """The control: ``LinearLR`` beside ``CosineRestartLR`` reaches hundreds of times the rate."""
    cfg = load("td-hm_litehrnet_coco-256x192.py", None)
    cfg.param_scheduler = [
        dict(type="LinearLR", start_factor=1e-3, by_epoch=False, begin=0, end=200),
        dict(
            type="CosineRestartLR", periods=[25, 50, 125], restart_weights=[1, 1, 1],
            eta_min_ratio=0.01, end=200, convert_to_iter_based=True,
        ),
    ]  # fmt: skip
    assert simulate(Config(cfg.to_dict()), 50)[:300].max() > 500
