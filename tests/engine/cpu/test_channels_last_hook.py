from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from equikpt.engine.cpu.channels_last_hook import ChannelsLastHook, match_layout
from tests.conftest import REPO


@pytest.fixture
def backbone(request):
    import equikpt.register  # noqa: F401

    model = Config.fromfile(REPO / "configs" / request.param).model
    init_default_scope("mmpose")
    torch.manual_seed(0)
    return MODELS.build(model.backbone)


def runner(model, *hooks):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return SimpleNamespace(
        model=model,
        hooks=hooks,
        iter=0,
        optim_wrapper=SimpleNamespace(optimizer=optimizer),
        logger=SimpleNamespace(info=lambda *_: None),
    )


@pytest.mark.parametrize(
    "backbone", ["smoke/rtmpose_m_ap10k.py", "smoke/hrnet_w32_ap10k.py"], indirect=True
)
def test_same_features_and_gradients_in_another_layout(backbone):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    backbone.train()

    def run():
        features = backbone(images)[-1]
        backbone.zero_grad()
        features.square().mean().backward()
        return features.detach(), [
            p.grad.clone() for p in backbone.parameters() if p.grad is not None
        ]

    before, gradients_before = run()
    parameters = list(backbone.parameters())
    ChannelsLastHook().before_train(runner(backbone))
    after, gradients_after = run()

    assert after.is_contiguous(memory_format=torch.channels_last)
    assert not before.is_contiguous(memory_format=torch.channels_last)
    peak = before.abs().max()
    torch.testing.assert_close(after / peak, before / peak, rtol=0, atol=1e-4)
    for one, other in zip(gradients_after, gradients_before, strict=True):
        scale = other.abs().max().item() + 1e-6
        torch.testing.assert_close(one / scale, other / scale, rtol=1e-3, atol=1e-3)
    # the optimizer and DDP hold the parameters themselves
    assert all(one is other for one, other in zip(backbone.parameters(), parameters, strict=True))


@pytest.mark.parametrize("backbone", ["smoke/rtmpose_m_ap10k.py"], indirect=True)
def test_is_off_by_one_key(backbone):
    ChannelsLastHook(enabled=False).before_train(runner(backbone))
    assert all(p.is_contiguous() for p in backbone.parameters())


@pytest.mark.parametrize("update_buffers", [True, False], ids=["with statistics", "weights alone"])
@pytest.mark.parametrize("backbone", ["smoke/rtmpose_m_ap10k.py"], indirect=True)
def test_an_average_takes_the_layout_and_goes_on_averaging(backbone, update_buffers):
    """The average is made before the layout changes, and follows the weights after it."""
    hook = EMAHook("ExponentialMovingAverage", momentum=0.5, update_buffers=update_buffers)
    owner = runner(backbone, hook)
    hook.before_run(owner)
    hook.after_train_iter(owner, 0)
    before = backbone.stem[0].conv.weight.detach().clone()
    ChannelsLastHook().before_test(owner)
    with torch.no_grad():
        backbone.stem[0].conv.weight += 1
    hook.after_train_iter(owner, 1)
    average = hook.ema_model.module.stem[0].conv.weight
    torch.testing.assert_close(average, before + 0.5)
    assert average.stride() == backbone.stem[0].conv.weight.stride() != before.stride()


@pytest.mark.parametrize("saved_in", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("resumed_in", [torch.channels_last, torch.contiguous_format])
def test_a_resumed_optimizer_steps_as_the_one_that_went_on(saved_in, resumed_in):
    """The fused kernel does not look at strides: a state in the other layout spoils the step."""

    def conv(memory_format) -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(4, 8, 3).to(memory_format=memory_format)

    def step(model, optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            grad = torch.randn(parameter.shape, generator=generator)
            parameter.grad = torch.empty_like(parameter).copy_(grad)
        optimizer.step()

    whole = conv(saved_in)
    optimizer = torch.optim.AdamW(whole.parameters(), lr=0.01, fused=True)
    step(whole, optimizer, 1)
    resumed = conv(resumed_in)
    resumed.load_state_dict(whole.state_dict())
    other = torch.optim.AdamW(resumed.parameters(), lr=0.01, fused=True)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    match_layout(other)
    step(whole, optimizer, 2)
    step(resumed, other, 2)
    torch.testing.assert_close(resumed.weight, whole.weight, rtol=0, atol=1e-7)
