from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from torch import nn

from equikpt.engine.hooks.teacher_forcing_noise_hook import TeacherForcingNoiseHook


def runner(epoch: int, head: object) -> SimpleNamespace:
    model = nn.Module()
    model.head = head
    hub = MessageHub.get_instance("given_point_noise")
    return SimpleNamespace(model=model, epoch=epoch, max_epochs=100, message_hub=hub)


def head() -> nn.Module:
    module = nn.Module()
    module.given_noise = None
    return module


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.0), (20, 0.0), (40, 0.01), (60, 0.02), (99, 0.02)]
)
def test_noise_rises_in_a_line_and_stays(epoch, expected):
    current = runner(epoch, head())
    TeacherForcingNoiseHook(sigma=0.02, begin=0.2, end=0.6).before_train_epoch(current)
    assert current.model.head.given_noise == pytest.approx(expected)
    logged = current.message_hub.get_scalar("train/given_noise").current()
    assert logged == pytest.approx(expected)


def test_another_head_is_refused():
    with pytest.raises(ValueError, match="expected a head with given_noise.*got Linear"):
        TeacherForcingNoiseHook().before_train_epoch(runner(0, nn.Linear(1, 1)))


@pytest.mark.parametrize(
    "options", [dict(sigma=-1), dict(begin=0.5, end=0.5), dict(end=1.5), dict(begin=-0.1)]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match="0 <= begin < end <= 1"):
        TeacherForcingNoiseHook(**options)
