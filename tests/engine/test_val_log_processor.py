"""Losses of a validation are logged as they are, those of training as means of steps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub
from mmengine.runner import LogProcessor

from equikpt.engine.val_log_processor import ValLogProcessor

WINDOW = 4
VALUES = [5.0, 3.0, 1.0, 2.0]


@pytest.fixture
def runner():
    hub = MessageHub.get_instance("test_val_log_processor")
    hub.log_scalars.clear()
    for value in VALUES:
        for name in ("train/loss", "val/val_loss", "val/coco/AP", "val/time"):
            hub.update_scalar(name, value)
    return SimpleNamespace(message_hub=hub)


def collected(processor_class, runner, mode, reserve_prefix=False):
    processor = processor_class(window_size=WINDOW)
    return processor._collect_scalars([], runner, mode, reserve_prefix)


def test_a_validation_loss_is_the_last_one(runner):
    stock, ours = (collected(each, runner, "val") for each in (LogProcessor, ValLogProcessor))
    assert stock["val_loss"] == pytest.approx(2.75)  # what this class is for
    assert ours["val_loss"] == 2.0


@pytest.mark.parametrize("mode", ["train", "val"])
def test_all_else_is_as_in_mmengine(runner, mode):
    stock, ours = (collected(each, runner, mode) for each in (LogProcessor, ValLogProcessor))
    stock.pop("val_loss", None), ours.pop("val_loss", None)
    assert ours == stock
    assert ours["time" if mode == "val" else "loss"] == pytest.approx(2.75)


def test_names_with_their_prefix(runner):
    assert collected(ValLogProcessor, runner, "val", reserve_prefix=True)["val/val_loss"] == 2.0
