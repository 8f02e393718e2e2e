from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from equikpt.engine.hooks.channels_last_hook import ChannelsLastHook
from tests.conftest import REPO


@pytest.fixture
def backbone(request):
    import equikpt.register  # noqa: F401

    model = Config.fromfile(REPO / "configs" / request.param).model
    init_default_scope("mmpose")
    torch.manual_seed(0)
    return MODELS.build(model.backbone)


def runner(model):
    return SimpleNamespace(model=model, logger=SimpleNamespace(info=lambda *_: None))


@pytest.mark.parametrize(
    "backbone", ["smoke/rtmpose_m_ap10k.py", "smoke/hrnet_w32_ap10k.py"], indirect=True
)
def test_same_features_and_gradients_in_another_layout(backbone):
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    backbone.train()

    def run():
        features = backbone(pictures)[-1]
        backbone.zero_grad()
        features.square().mean().backward()
        return features.detach(), [
            p.grad.clone() for p in backbone.parameters() if p.grad is not None
        ]

    before, gradients_before = run()
    parameters = list(backbone.parameters())
    ChannelsLastHook().before_run(runner(backbone))
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
    ChannelsLastHook(enabled=False).before_run(runner(backbone))
    assert all(p.is_contiguous() for p in backbone.parameters())
