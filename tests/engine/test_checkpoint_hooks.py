from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner

from equikpt.compat.safe_load import is_complete
from equikpt.compat.work_dir import read_top
from equikpt.engine.checkpoint_hooks import TopKCheckpointHook
from tests.engine.conftest import make_runner
from tests.integration.resumable import Course, at, config, never, outcome, resume, train

# --- the newest and the best ---


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(Runner, "_log_env", lambda self, env_cfg: None)


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
    train(config(tmp_path / "original", []), Course(), at("validation saved", 2))
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    before = sorted(os.listdir(tmp_path / "original"))
    resume(config(tmp_path / "copy", []), Course(), never)
    assert sorted(os.listdir(tmp_path / "original")) == before
    best = [path.name for path in (tmp_path / "copy").glob("best_*")]
    assert best == ["best_score_epoch_5.pth"]


def names_of(folder: Path) -> tuple[str, str]:
    return tuple((folder / name).resolve().name for name in ("best.pth", "last.pth"))


def test_the_stable_names_lead_to_the_best_and_the_newest(tmp_path):
    cfg, course = config(tmp_path / "run", []), Course()
    train(cfg, course, at("epoch saved", 1))
    assert os.readlink(tmp_path / "run" / "last.pth") == "epoch_1.pth"
    assert not (tmp_path / "run" / "best.pth").is_symlink()
    resume(cfg, course, at("validation saved", 3))
    assert names_of(tmp_path / "run") == ("best_score_epoch_2.pth", "epoch_3.pth")
    (tmp_path / "run").rename(tmp_path / "moved")
    resume(config(tmp_path / "moved", []), course, at("step", 1))  # they are right before a step
    assert names_of(tmp_path / "moved") == ("best_score_epoch_2.pth", "epoch_3.pth")
    resume(config(tmp_path / "moved", []), course, never)
    assert names_of(tmp_path / "moved") == ("best_score_epoch_5.pth", "epoch_8.pth")


def test_of_equal_ones_the_newest_is_the_best(tmp_path):
    train(config(tmp_path, []), Course(), at("validation saved", 4))
    assert names_of(tmp_path) == ("best_score_epoch_4.pth", "epoch_4.pth")


@pytest.mark.parametrize(
    ("keys", "best"),
    [(["mean", "score"], "best_mean_epoch_"), (["score", "mean"], "best_score_epoch_5.pth")],
)
def test_of_several_keys_the_first_is_the_best(tmp_path, keys, best):
    options = {"save_best": keys, "rule": ["greater", "greater"]}
    options = {f"default_hooks.checkpoint.{name}": value for name, value in options.items()}
    train(config(tmp_path, [], **options), Course(), never)
    assert names_of(tmp_path)[0].startswith(best)


@pytest.mark.parametrize("copied", [False, True], ids=["a link", "a copy, as copytree makes it"])
def test_a_run_resumed_from_a_stable_name(tmp_path, copied):
    whole = Course()
    expected = outcome(train(config(tmp_path / "whole", []), whole, never), whole)
    course = Course()
    train(config(tmp_path / "run", []), course, at("validation saved", 3))
    if copied:
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
    folder = tmp_path / ("copy" if copied else "run")
    cfg = config(folder, [], load_from=str(folder / "last.pth"), resume=True)
    train(cfg, course, at("step", 1))
    assert is_complete(folder / "last.pth")  # no link to itself
    assert outcome(train(cfg, course, never), course) == expected


def test_a_damaged_newest_checkpoint_costs_its_epoch_only(tmp_path):
    whole = Course()
    expected = outcome(train(config(tmp_path / "whole", []), whole, never), whole)
    cfg, course = config(tmp_path / "run", []), Course()
    train(cfg, course, at("validation saved", 4))
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


# --- the best few ---


@pytest.fixture
def runner(tmp_path):
    """A runner whose checkpoints are files that say which epoch they are of."""

    def save(folder: str, filename: str, **options) -> None:
        assert options["save_optimizer"] is False
        (Path(folder) / filename).write_text(f"epoch {made.epoch}")

    made = make_runner(work_dir=str(tmp_path), save_checkpoint=save)
    return made


def validate(hook: TopKCheckpointHook, runner: SimpleNamespace, *scores: float) -> tuple:
    """Epochs of the list, best first, and of the checkpoints on disk, after some validations."""
    for score in scores:
        runner.epoch += 1
        hook.after_val_epoch(runner, {hook.monitor: score})
    return found(runner)


def found(runner: SimpleNamespace) -> tuple[list[int], list[int]]:
    folder = Path(runner.work_dir)
    files = folder.glob("top_coco_AP_epoch_?.pth")
    on_disk = sorted(int(path.stem.rsplit("_", 1)[1]) for path in files)
    return [kept.epoch for kept in read_top(folder)], on_disk


@pytest.mark.parametrize(
    ("options", "scores", "listed"),
    [
        (dict(k=3), (0.2, 0.5, 0.1, 0.4, 0.3, 0.6), [6, 2, 4]),
        (dict(k=2, rule="less"), (0.5, 0.2, 0.2, 0.2), [4, 3]),
        (dict(k=2), (math.nan, 0.1, math.nan), [2]),
    ],
    ids=["greater", "less, of equal ones the newer", "no number"],
)
def test_the_best_few_stay_best_first(runner, options, scores, listed):
    assert validate(TopKCheckpointHook(**options), runner, *scores) == (listed, sorted(listed))
    for epoch in listed:
        file = Path(runner.work_dir) / f"top_coco_AP_epoch_{epoch}.pth"
        assert file.read_text() == f"epoch {epoch}"


@pytest.mark.parametrize(
    ("again", "listed"), [(0.1, [2, 1]), (math.nan, [2])], ids=["replaced", "gone"]
)
def test_an_epoch_that_is_validated_again_has_its_new_score(runner, again, listed):
    validate(TopKCheckpointHook(k=2), runner, 0.5, 0.4, 0.3)
    runner.epoch = 0
    assert validate(TopKCheckpointHook(k=2), runner, again) == (listed, sorted(listed))


@pytest.mark.parametrize("content", ["kept", None, "", "{", "[1]", '[{"file": "a.pth"}]'])
def test_a_resumed_run_goes_on_with_its_list_or_that_of_the_checkpoint(runner, content):
    validate(TopKCheckpointHook(k=2), runner, 0.2, 0.5)
    path = Path(runner.work_dir) / "top_checkpoints.json"
    if content is None:
        path.unlink()
    elif content != "kept":
        path.write_text(content)
    runner._resume = True
    hook = TopKCheckpointHook(k=2)
    hook.before_train(runner)
    assert found(runner) == ([2, 1], [1, 2])
    assert validate(hook, runner, 0.4) == ([2, 3], [2, 3])


def test_a_new_run_does_not_go_on_with_the_list_of_another(runner):
    validate(TopKCheckpointHook(k=1), runner, 0.9)
    hook = TopKCheckpointHook(k=1)
    hook.before_train(runner)
    assert validate(hook, runner, 0.1)[0] == [2]


def test_foreign_files_are_never_deleted(runner):
    folder = Path(runner.work_dir)
    mine = ["best_coco_AP_epoch_1.pth", "top_coco_AP_epoch_99.pth", "epoch_2.pth"]
    for name in mine:
        (folder / name).write_text("mine")
    assert validate(TopKCheckpointHook(k=1), runner, 0.2, 0.5, 0.1, 0.4) == ([2], [2])
    assert all((folder / name).read_text() == "mine" for name in mine)


def test_a_file_that_somebody_took_away_is_not_counted(runner):
    hook = TopKCheckpointHook(k=2)
    validate(hook, runner, 0.2, 0.5)
    (Path(runner.work_dir) / "top_coco_AP_epoch_2.pth").unlink()
    assert validate(hook, runner, 0.1)[0] == [1, 3]


def test_a_metric_that_is_not_there_is_named(runner):
    with pytest.raises(ValueError, match=r"'coco/AP' in validation, got \['pixel/AP'\]"):
        TopKCheckpointHook().after_val_epoch(runner, {"pixel/AP": 0.5})


@pytest.mark.parametrize(("options", "words"), [(dict(k=0), "k of at"), (dict(rule="x"), "rule")])
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TopKCheckpointHook(**options)
