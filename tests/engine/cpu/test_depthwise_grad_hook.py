from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from equikpt.engine.cpu.depthwise_conv import DepthwiseConv2d, DepthwiseGradHook


@pytest.fixture
def runner():
    said: list[str] = []
    return SimpleNamespace(
        model=nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5, groups=4, bias=False), nn.ReLU()
        ),
        logger=SimpleNamespace(info=said.append),
        said=said,
    )


def test_changes_depthwise_convolutions_and_says_so(runner):
    DepthwiseGradHook().before_train(runner)
    assert [type(module) for module in runner.model] == [nn.Conv2d, DepthwiseConv2d, nn.ReLU]
    assert runner.said == [
        "1 depthwise convolutions compute their gradients in ways that suit a CPU"
    ]


def test_is_off_by_one_key(runner):
    DepthwiseGradHook(enabled=False).before_train(runner)
    assert type(runner.model[1]) is nn.Conv2d
    assert runner.said == []


def test_says_nothing_without_depthwise_convolutions(runner):
    runner.model = nn.Sequential(nn.Conv2d(3, 4, 3))
    DepthwiseGradHook().before_train(runner)
    assert runner.said == []
