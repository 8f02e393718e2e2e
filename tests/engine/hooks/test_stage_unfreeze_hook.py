from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

import equikpt.register  # noqa: F401
from equikpt.engine.freezing import frozen_stages
from equikpt.engine.hooks.group_rates_hook import GroupRatesHook
from equikpt.engine.hooks.pipeline_switch_hook import PipelineSwitchHook
from equikpt.engine.hooks.stage_unfreeze_hook import StageUnfreezeHook

PHASES = [
    dict(name="head", begin=0, frozen_stages=3),
    dict(name="middle", begin=10, frozen_stages=2),
    dict(name="all but early", begin=20, frozen_stages=1),
]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope("mmpose")


@pytest.fixture
def runner():
    model = nn.Module()
    model.backbone = MODELS.build(
        dict(type="FreezingCSPNeXt", deepen_factor=0.33, widen_factor=0.125, frozen_stages=3)
    )
    model.head = nn.Conv2d(4, 4, 1)
    wrapper = build_optim_wrapper(
        model,
        dict(
            constructor="LayerwiseLrConstructor",
            optimizer=dict(type="SGD", lr=0.1),
            paramwise_cfg=dict(
                module_lr_mult=dict(backbone=0.1), frozen_stages=1, frozen_at_start=3
            ),
        ),
    )
    lines: list[str] = []
    return SimpleNamespace(
        model=model,
        cfg=dict(load_from="weights.pth"),
        epoch=0,
        optim_wrapper=wrapper,
        lines=lines,
        logger=SimpleNamespace(info=lines.append),
        message_hub=MessageHub.get_instance("stage_unfreeze"),
    )


def enter(hook, runner, epoch: int) -> int:
    runner.epoch = epoch
    hook.before_train_epoch(runner)
    hook.before_train_iter(runner, 0)
    return frozen_stages(runner.model)


def test_releases_stage_after_stage(runner):
    hook = StageUnfreezeHook(PHASES)
    hook.before_train(runner)
    found = {epoch: enter(hook, runner, epoch) for epoch in (0, 9, 10, 19, 20, 25)}
    assert found == {0: 3, 9: 3, 10: 2, 19: 2, 20: 1, 25: 1}
    assert runner.message_hub.get_scalar("train/phase").current() == 3
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


def test_rates_of_all_tiers_are_logged(runner):
    GroupRatesHook().before_train_iter(runner, 0)
    scalars = runner.message_hub.log_scalars
    # stages 2 to 4 share a rate; stage 1 and the stem are in no group
    assert scalars["train/lr_backbone"].current() == pytest.approx(0.01)
    assert scalars["train/lr_head"].current() == pytest.approx(0.1)
    for group in runner.optim_wrapper.param_groups:
        if group.get("tier") == "backbone.2":
            group["lr"] = 0.005
    GroupRatesHook().before_train_iter(runner, 1)
    assert scalars["train/lr_backbone.2"].current() == pytest.approx(0.005)


def test_one_rate_for_all_is_not_logged_twice(runner):
    for group in runner.optim_wrapper.param_groups:
        group["lr"] = 0.02
    runner.message_hub.log_scalars.clear()
    GroupRatesHook().before_train_iter(runner, 0)
    assert not runner.message_hub.log_scalars


@pytest.mark.parametrize(
    ("start", "refused"),
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
def test_refuses_to_freeze_random_weights(runner, start, refused):
    backbone = dict(frozen_stages=3) | start.pop("backbone", {})
    runner.cfg = dict(start, model=dict(backbone=backbone))
    StageUnfreezeHook(PHASES, random_weights=True).before_train(runner)
    if refused:
        with pytest.raises(ValueError, match=r"up to 3 are frozen.*load_from"):
            StageUnfreezeHook(PHASES).before_train(runner)
    else:
        StageUnfreezeHook(PHASES).before_train(runner)


def test_refuses_a_model_in_another_state(runner):
    with pytest.raises(ValueError, match="frozen_stages=2.*found 3"):
        StageUnfreezeHook([dict(PHASES[1], begin=0)]).before_train(runner)


def test_refuses_an_optimizer_that_misses_what_is_released(runner):
    deeper = [*PHASES, dict(name="all", begin=30, frozen_stages=-1)]
    with pytest.raises(ValueError, match="backbone.stem.*in the optimizer"):
        StageUnfreezeHook(deeper).before_train(runner)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], "begin at epoch 0"),
        (PHASES[1:], "begin at epoch 0"),
        ([PHASES[0], PHASES[2], PHASES[1]], "rising order"),
        ([PHASES[0], dict(PHASES[1], frozen_stages=4)], "never grow"),
        ([dict(begin=0, frozen_stages=1)], "with the keys"),
    ],
    ids=["none", "late", "order", "freezes", "key"],
)
def test_refuses_phases(phases, message):
    with pytest.raises(ValueError, match=message):
        StageUnfreezeHook(phases)


def test_pipeline_follows_the_epoch():
    first, second = [dict(type="LoadImage")], [dict(type="PackPoseInputs")]
    hook = PipelineSwitchHook([dict(begin=2, pipeline=first), dict(begin=4, pipeline=second)])
    loader = SimpleNamespace(dataset=SimpleNamespace(pipeline="own"), _iterator="workers")
    runner = SimpleNamespace(
        train_dataloader=loader, epoch=0, logger=SimpleNamespace(info=lambda *_: None)
    )

    def names(epoch: int):
        runner.epoch = epoch
        hook.before_train_epoch(runner)
        pipeline = loader.dataset.pipeline
        return pipeline if isinstance(pipeline, str) else type(pipeline.transforms[0]).__name__

    assert [names(epoch) for epoch in (0, 1, 2, 3, 4, 9)] == [
        *("own", "own", "LoadImage", "LoadImage", "PackPoseInputs", "PackPoseInputs")
    ]
    assert loader._iterator is None


def test_refuses_switches_out_of_order():
    with pytest.raises(ValueError, match="rising order"):
        PipelineSwitchHook([dict(begin=4, pipeline=[]), dict(begin=2, pipeline=[])])
