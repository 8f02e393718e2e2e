from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from equikpt.compat.safe_load import is_complete
from tests.integration.resumable import Course, config, outcome, resume, train


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(Runner, "_log_env", lambda self, env_cfg: None)


def never(event: str, count: int) -> bool:
    return False


def until(epoch: int):
    return lambda event, count: (event, count) == ("validation saved", epoch)


@pytest.mark.parametrize("kept", [1, 2])
def test_an_old_file_goes_once_its_successor_is_whole(tmp_path, monkeypatch, kept):
    removed = []
    remove = os.remove

    def watch(path, **options):
        name = Path(path).name
        kind = name.split("_")[0]
        others = [p for p in tmp_path.glob(f"{kind}_*.pth") if p.name != name]
        assert len(others) == (kept if kind == "epoch" else 1)
        assert all(is_complete(other) for other in others)
        removed.append(name)
        remove(path, **options)

    monkeypatch.setattr(os, "remove", watch)
    cfg = config(tmp_path, [], **{"default_hooks.checkpoint.max_keep_ckpts": kept})
    train(cfg, Course(), never)
    assert {"epoch_1.pth", "best_score_epoch_1.pth", "best_score_epoch_2.pth"} <= {*removed}


def test_a_copied_run_leaves_the_original_alone(tmp_path):
    train(config(tmp_path / "original", []), Course(), until(2))
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    before = sorted(os.listdir(tmp_path / "original"))
    resume(config(tmp_path / "copy", []), Course(), never)
    assert sorted(os.listdir(tmp_path / "original")) == before
    best = [path.name for path in (tmp_path / "copy").glob("best_*")]
    assert best == ["best_score_epoch_5.pth"]


def test_a_damaged_newest_checkpoint_costs_its_epoch_only(tmp_path):
    whole = Course()
    expected = outcome(train(config(tmp_path / "whole", []), whole, never), whole)
    cfg, course = config(tmp_path / "run", []), Course()
    train(cfg, course, until(4))
    newest = tmp_path / "run" / "epoch_4.pth"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert outcome(resume(cfg, course, never), course) == expected


def test_a_run_that_early_stopping_ended_stays_ended_until_patience_is_raised(tmp_path):
    cfg, course = config(tmp_path, []), Course()
    assert train(cfg, course, never).epoch == 8
    before = (tmp_path / "epoch_8.pth").read_bytes()
    assert resume(cfg, course, never).epoch == 8
    assert (tmp_path / "epoch_8.pth").read_bytes() == before
    cfg.default_hooks.early_stopping.patience = 4
    assert resume(cfg, course, never).epoch == 9
    assert torch.load(tmp_path / "epoch_9.pth", weights_only=False)["validation"]["stopped"]
