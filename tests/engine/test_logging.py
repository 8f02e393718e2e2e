import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import LogProcessor
from torch import nn

from equikpt.engine.logging import (
    GradientMonitorHook,
    IterationWandbVisBackend,
    ValLogProcessor,
    norms_by_part,
)
from tests.engine.conftest import make_runner, scalar
from tests.fake_wandb import FakeWandb, Image

# --- losses of validations ---


@pytest.fixture
def validated():
    """A runner with four losses, metrics and times."""
    runner = make_runner()
    for value in (5.0, 3.0, 1.0, 2.0):
        for name in ("train/loss", "val/val_loss", "val/coco/AP", "val/time"):
            runner.message_hub.update_scalar(name, value)
    return runner


def collected(processor, runner, mode, reserve_prefix=False):
    return processor(window_size=4)._collect_scalars([], runner, mode, reserve_prefix)


@pytest.mark.parametrize("mode", ["train", "val"])
def test_a_validation_loss_is_the_last_one_and_all_else_as_in_mmengine(validated, mode):
    stock, ours = (collected(each, validated, mode) for each in (LogProcessor, ValLogProcessor))
    if mode == "val":
        assert stock.pop("val_loss") == pytest.approx(2.75)  # what this class is for
        assert ours.pop("val_loss") == 2.0
    assert ours == stock
    assert ours["time" if mode == "val" else "loss"] == pytest.approx(2.75)


def test_names_keep_their_prefix(validated):
    assert collected(ValLogProcessor, validated, "val", True)["val/val_loss"] == 2.0


# --- gradients ---


def gradient_runner(hook: GradientMonitorHook, max_norm: float | None = 1.0):
    """A runner of a backbone of two stages and a head."""
    torch.manual_seed(0)
    model = nn.Module()
    model.backbone = nn.ModuleDict(dict(stem=nn.Linear(4, 4), stage1=nn.Linear(4, 4)))
    model.head = nn.Linear(4, 1)
    clip = None if max_norm is None else dict(max_norm=max_norm)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3), clip_grad=clip)
    runner = make_runner(model=model, optim_wrapper=wrapper)
    wrapper.message_hub = runner.message_hub
    hook.before_train(runner)
    return runner


def step(hook: GradientMonitorHook, runner, *factors: float) -> dict[str, float]:
    """A step for each factor of the loss; returns the last one's norms as they were."""
    backbone = runner.model.backbone
    parts = {f"backbone.{name}": stage for name, stage in backbone.items()}
    for factor in factors:
        x = torch.ones(3, 4)
        for stage in backbone.values():
            x = torch.tanh(stage(x))
        (factor * runner.model.head(x).square().sum()).backward()
        expected = {
            part: torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item()
            for part, module in {**parts, "head": runner.model.head}.items()
        }
        runner.optim_wrapper.step()
        runner.optim_wrapper.zero_grad()
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
    return expected


def shown(runner) -> dict[str, float]:
    prefix = "train/grad_norm_"
    return {
        name.removeprefix(prefix): log.current()
        for name, log in runner.message_hub.log_scalars.items()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("max_norm", [None, 1e-2, 1e6], ids=["none", "clipped", "not reached"])
def test_norms_are_those_before_clipping(max_norm):
    hook = GradientMonitorHook(interval=1)
    runner = gradient_runner(hook, max_norm)
    expected = step(hook, runner, 1.0)
    assert shown(runner) == pytest.approx(expected, rel=1e-4)
    assert expected["head"] > 0.1  # far above what clipping leaves


def test_norms_are_taken_every_few_steps():
    hook = GradientMonitorHook(interval=3)
    runner = gradient_runner(hook)
    step(hook, runner, *[1.0] * 7)
    log = runner.message_hub.log_scalars["train/grad_norm_head"]
    assert int(log.data[1].sum()) == 2


def test_parts_that_explode_or_vanish_are_named_once():
    hook = GradientMonitorHook(interval=1, exploding=1e3, vanishing=1e-6)
    runner = gradient_runner(hook)
    step(hook, runner, 1e6, 1e6, 1.0, 1e-12, 1e-12)
    explodes, vanishes = (line for line in runner.lines if "of head" in line)
    assert explodes.startswith("the gradient of head explodes")
    assert explodes.endswith("in step 1")
    assert vanishes.startswith("the gradient of head vanishes")
    assert vanishes.endswith("in step 4")
    hook = GradientMonitorHook(interval=1)
    runner = gradient_runner(hook, max_norm=None)
    step(hook, runner, float("nan"))
    assert any("of head explodes: norm nan" in line for line in runner.lines)


def test_an_epoch_ends_with_the_fraction_of_clipped_steps():
    hook = GradientMonitorHook(interval=100)
    runner = gradient_runner(hook, max_norm=1e-3)
    step(hook, runner, 1.0, 1e-9, 1.0, 1.0)
    hook.after_train_epoch(runner)
    assert runner.lines == ["75 % of 4 steps were clipped"]
    assert scalar(runner, "train/clipped_share") == 0.75
    hook.after_train_epoch(runner)
    assert len(runner.lines) == 1


def test_the_optimizer_is_left_as_it_was():
    hook = GradientMonitorHook(interval=1)
    runner = gradient_runner(hook)
    hook.after_train(runner)
    step(hook, runner, 1.0)
    assert shown(runner) == {}


def test_frozen_parameters_are_left_out():
    model = nn.ModuleDict(dict(frozen=nn.Linear(2, 2).requires_grad_(False), head=nn.Linear(2, 2)))
    model["head"](torch.ones(1, 2)).sum().backward()
    assert norms_by_part(model).keys() == {"head"}
    assert norms_by_part(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize("options", [dict(interval=0), dict(exploding=1e-7), dict(vanishing=0)])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="0 < vanishing < exploding"):
        GradientMonitorHook(**options)


# --- Weights & Biases ---

IMAGE = np.zeros((20, 30, 3), np.uint8)


@pytest.fixture
def wandb(monkeypatch) -> FakeWandb:
    module = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def log_an_epoch(backend: IterationWandbVisBackend) -> None:
    """What MMEngine's hooks hand over: a training's steps are iterations, a validation's epochs."""
    backend.add_scalars(dict(loss=0.5, iter=10, epoch=1), step=10)
    backend.add_scalars(dict(loss=0.4, iter=20, epoch=1), step=20)
    backend.add_image("val_predictions", IMAGE, step=1)
    backend.add_scalars({"coco/AP": 0.3}, step=1)
    backend.add_scalar("lone", 7.0, step=1)


def test_every_row_carries_its_iteration_and_none_a_step(wandb, tmp_path):
    backend = IterationWandbVisBackend(str(tmp_path), init_kwargs=dict(project="equikpt"))
    log_an_epoch(backend)
    now = dict(iter=20, epoch=1)
    assert wandb.rows == [
        dict(loss=0.5, iter=10, epoch=1),
        dict(loss=0.4, **now),
        {"val_predictions": Image(IMAGE), **now},
        {"coco/AP": 0.3, **now},
        dict(lone=7.0, **now),
    ]
    assert wandb.metrics == [dict(name="*", step_metric="iter")]
    assert wandb.runs == [dict(project="equikpt", dir=str(tmp_path))]


def test_a_test_has_no_iteration_and_the_config_no_code(wandb, tmp_path):
    IterationWandbVisBackend(str(tmp_path)).add_image("test", IMAGE)
    assert wandb.rows == [dict(test=Image(IMAGE))]
    config = Config(dict(model=dict(type="A", sizes=(1, 2))))
    IterationWandbVisBackend(str(tmp_path)).add_config(config)  # `run.log_code` does not exist here
    assert wandb.configs == [config.to_dict()]


def test_axes_of_ones_own(wandb, tmp_path):
    backend = IterationWandbVisBackend(str(tmp_path), define_metric_cfg={"coco/AP": "max"})
    log_an_epoch(backend)
    assert wandb.metrics == [dict(name="coco/AP", summary="max")]


def test_rows_after_the_end_are_another_run(wandb, tmp_path):
    backend = IterationWandbVisBackend(str(tmp_path))
    backend.close()  # nothing was begun
    log_an_epoch(backend)
    backend.close()
    backend.close()
    assert (len(wandb.runs), wandb.ended) == (1, 1)
    backend.add_image("test", IMAGE)
    assert len(wandb.runs) == 2


def test_a_missing_wandb_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr("equikpt.engine.logging.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"requirements/wandb\.txt"):
        IterationWandbVisBackend(str(tmp_path))


def test_an_offline_run_holds_it_all(monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="needs wandb: pip install -r requirements/wandb.txt")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    backend = IterationWandbVisBackend(str(tmp_path), init_kwargs=dict(project="equikpt"))
    backend.add_config(Config(dict(model=dict(type="A"))))
    log_an_epoch(backend)
    backend.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows = history(file)
    assert [row["iter"] for row in rows] == [10, 20, 20, 20, 20]
    assert [row["loss"] for row in rows if "loss" in row] == [0.5, 0.4]
    assert [row["coco/AP"] for row in rows if "coco/AP" in row] == [0.3]
    (image,) = file.parent.glob("files/media/images/val_predictions_*.png")
    assert [row["val_predictions.path"] for row in rows if "val_predictions.path" in row] == [
        f"media/images/{image.name}"
    ]


def history(path: Path) -> list[dict]:
    """The rows of an offline run's file: protocol buffers in LevelDB's log format.

    Source: https://github.com/google/leveldb/blob/main/doc/log_format.md; W&B writes 7 bytes first.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    block_bytes, header_bytes, ends = 32768, 7, (1, 4)
    content, start, record = path.read_bytes(), 7, b""
    rows = []
    while start + header_bytes <= len(content):
        room = block_bytes - start % block_bytes
        if room < header_bytes:
            start += room
            continue
        _, size, kind = struct.unpack_from("<IHB", content, start)
        start += header_bytes + size
        record += content[start - size : start]
        if kind in ends:
            items = Record.FromString(record).history.item
            row = {item.key or ".".join(item.nested_key): item.value_json for item in items}
            rows += [{key: json.loads(value) for key, value in row.items()}] if row else []
            record = b""
    return rows
