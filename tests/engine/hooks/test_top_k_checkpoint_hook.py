from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from equikpt.engine.hooks.top_k_checkpoint_hook import TopKCheckpointHook, read_list


@pytest.fixture
def runner(tmp_path):
    """A runner whose checkpoints are files that say which epoch they are of."""
    made = SimpleNamespace(
        work_dir=str(tmp_path),
        epoch=0,
        iter=0,
        _resume=False,
        message_hub=MessageHub("top_k"),
        logger=SimpleNamespace(info=lambda line: None, warning=lambda line: None),
    )

    def save(folder: str, filename: str, **options) -> None:
        assert options["save_optimizer"] is False
        (Path(folder) / filename).write_text(f"epoch {made.epoch}")

    made.save_checkpoint = save
    return made


def validate(hook: TopKCheckpointHook, runner: SimpleNamespace, *scores: float) -> None:
    for score in scores:
        runner.epoch += 1
        hook.after_val_epoch(runner, {hook.monitor: score})


def files(runner: SimpleNamespace) -> list[int]:
    """Epochs of the checkpoints on disk."""
    found = Path(runner.work_dir).glob("top_coco_AP_epoch_*.pth")
    return sorted(int(path.stem.rsplit("_", 1)[1]) for path in found)


def listed(runner: SimpleNamespace) -> list[int]:
    return [kept.epoch for kept in read_list(Path(runner.work_dir))]


def test_the_best_few_stay_best_first(runner):
    validate(TopKCheckpointHook(k=3), runner, 0.2, 0.5, 0.1, 0.4, 0.3, 0.6)
    assert listed(runner) == [6, 2, 4]
    assert files(runner) == [2, 4, 6]
    text = (Path(runner.work_dir) / "top_coco_AP_epoch_4.pth").read_text()
    assert text == "epoch 4"


def test_less_may_be_better_and_of_equal_ones_the_earlier_stays(runner):
    validate(TopKCheckpointHook(k=2, rule="less"), runner, 0.5, 0.2, 0.2, 0.2)
    assert listed(runner) == [2, 3]
    assert files(runner) == [2, 3]


def test_a_resumed_run_goes_on_with_the_list(runner):
    validate(TopKCheckpointHook(k=2), runner, 0.2, 0.5)
    validate(TopKCheckpointHook(k=2), runner, 0.4, 0.1)
    assert listed(runner) == [2, 3]
    assert files(runner) == [2, 3]


def test_an_epoch_that_is_run_again_replaces_its_checkpoint(runner):
    validate(TopKCheckpointHook(k=2), runner, 0.5, 0.4, 0.3)
    runner.epoch = 0
    validate(TopKCheckpointHook(k=2), runner, 0.1)
    assert listed(runner) == [2, 1]
    assert files(runner) == [1, 2]


def test_an_epoch_that_is_run_again_and_is_no_longer_among_the_best_goes(runner):
    validate(TopKCheckpointHook(k=2), runner, 0.5, 0.4)
    runner.epoch = 0
    validate(TopKCheckpointHook(k=2), runner, math.nan)
    assert (listed(runner), files(runner)) == ([2], [2])


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '[{"file": "a.pth"}]'])
def test_a_list_that_was_lost_is_the_one_of_the_checkpoint(runner, content):
    validate(TopKCheckpointHook(k=2), runner, 0.2, 0.5)
    path = Path(runner.work_dir) / "top_checkpoints.json"
    path.unlink() if content is None else path.write_text(content)
    runner._resume = True
    hook = TopKCheckpointHook(k=2)
    hook.before_train(runner)
    assert listed(runner) == [2, 1]
    validate(hook, runner, 0.4)
    assert (listed(runner), files(runner)) == ([2, 3], [2, 3])


def test_a_new_run_does_not_go_on_with_the_list_of_another(runner):
    validate(TopKCheckpointHook(k=1), runner, 0.9)
    hook = TopKCheckpointHook(k=1)
    hook.before_train(runner)
    runner.epoch = 1
    validate(hook, runner, 0.1)
    assert listed(runner) == [2]


def test_foreign_files_are_never_deleted(runner):
    folder = Path(runner.work_dir)
    mine = ["best_coco_AP_epoch_1.pth", "top_coco_AP_epoch_99.pth", "epoch_2.pth"]
    for name in mine:
        (folder / name).write_text("mine")
    validate(TopKCheckpointHook(k=1), runner, 0.2, 0.5, 0.1, 0.4)
    assert all((folder / name).read_text() == "mine" for name in mine)
    assert listed(runner) == [2]


def test_a_file_that_somebody_took_away_is_not_counted(runner):
    hook = TopKCheckpointHook(k=2)
    validate(hook, runner, 0.2, 0.5)
    (Path(runner.work_dir) / "top_coco_AP_epoch_2.pth").unlink()
    validate(hook, runner, 0.1)
    assert listed(runner) == [1, 3]


def test_a_score_that_is_no_number_is_never_among_the_best(runner):
    validate(TopKCheckpointHook(k=2), runner, math.nan, 0.1, math.nan)
    assert listed(runner) == [2]
    assert files(runner) == [2]


def test_a_metric_that_is_not_there_is_named(runner):
    with pytest.raises(ValueError, match=r"'coco/AP' in validation, got \['pixel/AP'\]"):
        TopKCheckpointHook().after_val_epoch(runner, {"pixel/AP": 0.5})


@pytest.mark.parametrize(("options", "words"), [(dict(k=0), "k of at"), (dict(rule="x"), "rule")])
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TopKCheckpointHook(**options)
