from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from torch import nn

from equikpt.engine.hooks.gradient_monitor_hook import GradientMonitorHook, norms_by_part, part_of


@pytest.fixture
def make_runner():
    """``make_runner(hook, max_norm)``: a runner of a backbone of two stages and a head."""

    def make(hook: GradientMonitorHook, max_norm: float | None = 1.0) -> SimpleNamespace:
        torch.manual_seed(0)
        model = nn.Module()
        model.backbone = nn.ModuleDict(dict(stem=nn.Linear(4, 4), stage1=nn.Linear(4, 4)))
        model.head = nn.Linear(4, 1)
        hub = MessageHub.get_instance("gradient_monitor")
        clip = None if max_norm is None else dict(max_norm=max_norm)
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3), clip_grad=clip)
        wrapper.message_hub = hub
        logged: list[str] = []
        log = SimpleNamespace(info=logged.append, warning=logged.append)
        runner = SimpleNamespace(
            model=model, optim_wrapper=wrapper, message_hub=hub, logger=log, lines=logged, iter=0
        )
        hook.before_train(runner)
        return runner

    return make


def step(hook: GradientMonitorHook, runner: SimpleNamespace, factor: float = 1.0) -> dict:
    """One step on a loss times ``factor``; returns the norms of each part as they were."""
    x = torch.ones(3, 4)
    for stage in runner.model.backbone.values():
        x = torch.tanh(stage(x))
    loss = factor * runner.model.head(x).square().sum()
    loss.backward()
    expected = {
        part: torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item()
        for part, module in (
            ("backbone.stem", runner.model.backbone["stem"]),
            ("backbone.stage1", runner.model.backbone["stage1"]),
            ("head", runner.model.head),
        )
    }
    runner.optim_wrapper.step()
    runner.optim_wrapper.zero_grad()
    hook.after_train_iter(runner, runner.iter)
    runner.iter += 1
    return expected


def shown(runner: SimpleNamespace) -> dict[str, float]:
    prefix = "train/grad_norm_"
    return {
        name.removeprefix(prefix): log.current()
        for name, log in runner.message_hub.log_scalars.items()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("max_norm", [None, 1e-2, 1e6], ids=["none", "clipped", "not reached"])
def test_norms_are_those_before_clipping(make_runner, max_norm):
    hook = GradientMonitorHook(interval=1)
    runner = make_runner(hook, max_norm)
    expected = step(hook, runner)
    assert shown(runner) == pytest.approx(expected, rel=1e-4)
    assert expected["head"] > 0.1  # far above what clipping leaves


def test_it_looks_every_few_steps(make_runner):
    hook = GradientMonitorHook(interval=3)
    runner = make_runner(hook)
    for _ in range(7):
        step(hook, runner)
    log = runner.message_hub.log_scalars["train/grad_norm_head"]
    assert int(log.data[1].sum()) == 2


def test_parts_that_explode_or_vanish_are_named_once(make_runner):
    hook = GradientMonitorHook(interval=1, exploding=1e3, vanishing=1e-6)
    runner = make_runner(hook)
    for factor in (1e6, 1e6, 1.0, 1e-12, 1e-12):
        step(hook, runner, factor)
    head = [line for line in runner.lines if "of head" in line]
    assert [line.split(":")[0] for line in head] == [
        "the gradient of head explodes",
        "the gradient of head vanishes",
    ]
    assert head[0].endswith("in step 1")
    assert head[1].endswith("in step 4")


def test_a_gradient_that_is_no_number_explodes(make_runner):
    hook = GradientMonitorHook(interval=1)
    runner = make_runner(hook, max_norm=None)
    step(hook, runner, float("nan"))
    assert any("of head explodes: norm nan" in line for line in runner.lines)


def test_an_epoch_ends_with_the_share_of_clipped_steps(make_runner):
    hook = GradientMonitorHook(interval=100)
    runner = make_runner(hook, max_norm=1e-3)
    for factor in (1.0, 1e-9, 1.0, 1.0):
        step(hook, runner, factor)
    hook.after_train_epoch(runner)
    assert runner.lines[-1] == "75 % of 4 steps were clipped"
    assert runner.message_hub.log_scalars["train/clipped_share"].current() == 0.75
    hook.after_train_epoch(runner)
    assert len(runner.lines) == 1


def test_the_optimizer_is_left_as_it_was(make_runner):
    hook = GradientMonitorHook(interval=1)
    runner = make_runner(hook)
    hook.after_train(runner)
    step(hook, runner)
    assert shown(runner) == {}


def test_frozen_parameters_are_left_out():
    model = nn.ModuleDict(dict(frozen=nn.Linear(2, 2).requires_grad_(False), head=nn.Linear(2, 2)))
    model["head"](torch.ones(1, 2)).sum().backward()
    assert norms_by_part(model).keys() == {"head"}
    assert norms_by_part(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize(
    ("name", "part"),
    [("backbone.stage3.0.weight", "backbone.stage3"), ("neck.smooth.0.weight", "neck")],
)
def test_parts_are_stages_of_the_backbone_and_other_children(name, part):
    assert part_of(name) == part


@pytest.mark.parametrize("options", [dict(interval=0), dict(exploding=1e-7), dict(vanishing=0)])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="0 < vanishing < exploding"):
        GradientMonitorHook(**options)
