import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.registry import MODELS
from torch import nn
from torch.utils.data import DataLoader, Dataset

from equikpt.engine.epoch_hooks import (
    PipelineSwitchHook,
    StageUnfreezeHook,
    TeacherForcingNoiseHook,
    equikpt_worker_init_fn,
    seed_everything,
)
from equikpt.engine.logging import GroupRatesHook
from equikpt.engine.stages import frozen_stages
from tests.engine.conftest import make_runner, scalar

# --- seeds ---


def draws() -> tuple:
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def seeded(*parts: int) -> tuple:
    seed_everything(*parts)
    return draws()


def test_same_seed_epoch_and_rank_draw_the_same():
    assert seeded(3, 5, 0) == seeded(3, 5, 0)


@pytest.mark.parametrize("other", [(4, 5, 0), (3, 6, 0), (3, 5, 1)], ids=["seed", "epoch", "rank"])
def test_every_part_counts(other):
    assert not set(seeded(*other)) & set(seeded(3, 5, 0))


class Draws(Dataset):
    """Each item is what the worker's three generators give."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.tensor(draws())


def test_workers_draw_anew_in_each_epoch_and_the_same_when_repeated():
    def epoch(number: int) -> torch.Tensor:
        seed_everything(0, number, 0)
        loader = DataLoader(Draws(), num_workers=2, worker_init_fn=equikpt_worker_init_fn)
        return torch.cat(list(loader))

    first = epoch(0)
    assert torch.equal(epoch(0), first)
    assert not torch.isclose(epoch(1), first).any()
    assert len(first[:, 1].unique()) == 4  # workers differ among themselves


# --- pipelines ---


def test_the_pipeline_follows_the_epoch():
    first, second = [dict(type="LoadImage")], [dict(type="PackPoseInputs")]
    hook = PipelineSwitchHook([dict(begin=2, pipeline=first), dict(begin=4, pipeline=second)])
    loader = SimpleNamespace(dataset=SimpleNamespace(pipeline="own"), _iterator="workers")
    runner = make_runner(train_dataloader=loader)

    def names(epoch: int):
        runner.epoch = epoch
        hook.before_train_epoch(runner)
        pipeline = loader.dataset.pipeline
        return pipeline if isinstance(pipeline, str) else type(pipeline.transforms[0]).__name__

    assert [names(epoch) for epoch in (0, 1, 2, 3, 4, 9)] == [
        *("own", "own", "LoadImage", "LoadImage", "PackPoseInputs", "PackPoseInputs")
    ]
    assert loader._iterator is None


def test_switches_out_of_order_are_refused():
    with pytest.raises(ValueError, match="rising order"):
        PipelineSwitchHook([dict(begin=4, pipeline=[]), dict(begin=2, pipeline=[])])


# --- stages ---

PHASES = [
    dict(name="head", begin=0, frozen_stages=3),
    dict(name="middle", begin=10, frozen_stages=2),
    dict(name="all but early", begin=20, frozen_stages=1),
]


@pytest.fixture
def runner():
    model = nn.Module()
    model.backbone = MODELS.build(
        dict(type="FreezingCSPNeXt", deepen_factor=0.33, widen_factor=0.125, frozen_stages=3)
    )
    model.head = nn.Conv2d(4, 4, 1)
    paramwise = dict(module_lr_mult=dict(backbone=0.1), frozen_stages=1, frozen_at_start=3)
    wrapper = dict(
        constructor="LayerwiseLrConstructor",
        optimizer=dict(type="SGD", lr=0.1),
        paramwise_cfg=paramwise,
    )
    return make_runner(
        model=model,
        cfg=dict(load_from="weights.pth"),
        optim_wrapper=build_optim_wrapper(model, wrapper),
    )


def enter(hook, runner, epoch: int) -> int:
    runner.epoch = epoch
    hook.before_train_epoch(runner)
    hook.before_train_iter(runner, 0)
    return frozen_stages(runner.model)


def test_stage_after_stage_is_released(runner):
    hook = StageUnfreezeHook(PHASES)
    hook.before_train(runner)
    found = {epoch: enter(hook, runner, epoch) for epoch in (0, 9, 10, 19, 20, 25)}
    assert found == {0: 3, 9: 3, 10: 2, 19: 2, 20: 1, 25: 1}
    assert scalar(runner, "train/phase") == 3
    assert [line.split(",")[0] for line in runner.lines] == [f"Phase {i} of 3" for i in (1, 2, 3)]


def test_a_resumed_run_is_in_the_right_phase(runner):
    """The model comes out of its config as the first phase has it, whatever the epoch."""
    hook = StageUnfreezeHook(PHASES)
    hook.before_train(runner)
    assert enter(hook, runner, 14) == 2


def test_released_statistics_move_again(runner):
    hook = StageUnfreezeHook(PHASES)
    runner.model.train()
    enter(hook, runner, 0)
    assert not runner.model.backbone.stage3[0].bn.training
    enter(hook, runner, 10)
    assert runner.model.backbone.stage3[0].bn.training
    assert not runner.model.backbone.stage1[0].bn.training


def test_rates_of_all_tiers_are_logged_where_they_differ(runner):
    GroupRatesHook().before_train_iter(runner, 0)
    # stages 2 to 4 share a rate; stage 1 and the stem are in no group
    assert scalar(runner, "train/lr_backbone") == pytest.approx(0.01)
    assert scalar(runner, "train/lr_head") == pytest.approx(0.1)
    groups = runner.optim_wrapper.param_groups
    for group in groups:
        if group.get("tier") == "backbone.2":
            group["lr"] = 0.005
    GroupRatesHook().before_train_iter(runner, 1)
    assert scalar(runner, "train/lr_backbone.2") == pytest.approx(0.005)
    for group in groups:
        group["lr"] = 0.02
    runner.message_hub.log_scalars.clear()
    GroupRatesHook().before_train_iter(runner, 0)
    assert not runner.message_hub.log_scalars


@pytest.mark.parametrize(
    ("start", "is_refused"),
    [
        (dict(), True),
        (dict(load_from="weights.pth"), False),
        (dict(resume=True), False),
        (dict(backbone=dict(weights="package")), False),
        (dict(backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="x.pth"))), False),
        (dict(backbone=dict(init_cfg=[dict(type="Kaiming")])), True),
    ],
    ids=["random", "load_from", "resume", "weights", "pretrained", "other init"],
)
def test_frozen_random_weights_are_refused(runner, start, is_refused):
    backbone = dict(frozen_stages=3) | start.pop("backbone", {})
    runner.cfg = dict(start, model=dict(backbone=backbone))
    StageUnfreezeHook(PHASES, random_weights=True).before_train(runner)
    if is_refused:
        with pytest.raises(ValueError, match="load_from"):
            StageUnfreezeHook(PHASES).before_train(runner)
    else:
        StageUnfreezeHook(PHASES).before_train(runner)


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ([dict(PHASES[1], begin=0)], "frozen_stages=2.*found 3"),
        ([*PHASES, dict(name="all", begin=30, frozen_stages=-1)], "backbone.stem.*optimizer"),
    ],
    ids=["a model in another state", "an optimizer that misses what is released"],
)
def test_phases_that_disagree_are_refused(runner, phases, words):
    with pytest.raises(ValueError, match=words):
        StageUnfreezeHook(phases).before_train(runner)


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ([], "begin at epoch 0"),
        (PHASES[1:], "begin at epoch 0"),
        ([PHASES[0], PHASES[2], PHASES[1]], "rising order"),
        ([PHASES[0], dict(PHASES[1], frozen_stages=4)], "never grow"),
        ([dict(begin=0, frozen_stages=1)], "with the keys"),
    ],
    ids=["none", "late", "order", "freezes", "key"],
)
def test_wrong_phases_are_refused(phases, words):
    with pytest.raises(ValueError, match=words):
        StageUnfreezeHook(phases)


# --- noise ---


def sequence_runner(epoch: int, head: nn.Module):
    return make_runner(model=SimpleNamespace(head=head), epoch=epoch, max_epochs=100)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.0), (20, 0.0), (40, 0.01), (60, 0.02), (99, 0.02)]
)
def test_noise_rises_in_a_line_and_stays(epoch, expected):
    runner = sequence_runner(epoch, SimpleNamespace(given_noise=None))
    TeacherForcingNoiseHook(sigma=0.02, begin=0.2, end=0.6).before_train_epoch(runner)
    assert runner.model.head.given_noise == pytest.approx(expected)
    assert scalar(runner, "train/given_noise") == pytest.approx(expected)


def test_a_head_without_given_points_is_refused():
    with pytest.raises(ValueError, match="got Linear"):
        TeacherForcingNoiseHook().before_train_epoch(sequence_runner(0, nn.Linear(1, 1)))


@pytest.mark.parametrize(
    "options", [dict(sigma=-1), dict(begin=0.5, end=0.5), dict(end=1.5), dict(begin=-0.1)]
)
def test_noise_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="0 <= begin < end <= 1"):
        TeacherForcingNoiseHook(**options)
