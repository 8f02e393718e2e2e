from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from equikpt.engine.wandb_backend import IterationWandbVisBackend
from tests.fake_wandb import FakeWandb, Image

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


def test_a_test_has_no_iteration(wandb, tmp_path):
    IterationWandbVisBackend(str(tmp_path)).add_image("test", IMAGE)
    assert wandb.rows == [dict(test=Image(IMAGE))]


def test_the_config_is_recorded_and_no_code(wandb, tmp_path):
    config = Config(dict(model=dict(type="A", sizes=(1, 2))))
    IterationWandbVisBackend(str(tmp_path)).add_config(config)  # `run.log_code` does not exist here
    assert wandb.configs == [config.to_dict()]


def test_axes_of_ones_own(wandb, tmp_path):
    backend = IterationWandbVisBackend(str(tmp_path), define_metric_cfg={"coco/AP": "max"})
    log_an_epoch(backend)
    assert wandb.metrics == [dict(name="coco/AP", summary="max")]


def test_what_comes_after_the_end_is_another_run(wandb, tmp_path):
    backend = IterationWandbVisBackend(str(tmp_path))
    backend.close()  # nothing was begun
    log_an_epoch(backend)
    backend.close()
    backend.close()
    assert (len(wandb.runs), wandb.ended) == (1, 1)
    backend.add_image("test", IMAGE)
    assert len(wandb.runs) == 2


def test_says_at_once_that_wandb_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("equikpt.engine.wandb_backend.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install -r requirements/wandb\.txt"):
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
