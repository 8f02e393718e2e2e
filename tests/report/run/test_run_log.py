from __future__ import annotations

from datetime import datetime

import pytest

from equikpt.report.run.run_log import read_log

HEAD = "2026/01/01 10:00:{:02d} - mmengine - {} - {}\n"


def written(tmp_path, *messages: str):
    """A log with a line a second."""
    path = tmp_path / "run.log"
    path.write_text("".join(HEAD.format(i, "INFO", line) for i, line in enumerate(messages)))
    return read_log(path)


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 10, 0, second)


def test_rows_are_found_by_the_step_of_the_whole_run(tmp_path):
    log = written(
        tmp_path,
        "Epoch(train)   [1][10/19]  base_lr: 1e-04  eta: 0:01:00  loss: 16.5",
        "Epoch(train) [103][ 2/19]  loss: 1.5",
    )
    assert log.train_times == {10: at(0), 102 * 19 + 2: at(1)}
    assert log.steps_per_epoch == 19
    assert log.place == ("train", 2, 19)


def test_rows_of_a_run_by_steps(tmp_path):
    log = written(tmp_path, "Iter(train) [  50/1000]  loss: 1.0", "Iter(val) [4/4]    AP: 0.5")
    assert log.train_times == {50: at(0)}
    assert log.val_times == [at(1)]
    assert log.steps_per_epoch is None


def test_the_last_line_on_the_way_is_not_the_end_of_a_validation(tmp_path):
    log = written(
        tmp_path,
        "Epoch(val) [5][10/20]    eta: 0:00:07  time: 0.8  data_time: 0.1  ",
        "Epoch(val) [5][20/20]    eta: 0:00:00  time: 0.8  data_time: 0.1  ",
        "Epoch(val) [5][20/20]    coco/AP: 0.5  data_time: 0.1  time: 0.8",
    )
    assert log.val_times == [at(2)]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("Saving checkpoint at 3 epochs", 57),
        ("Saving checkpoint at 3 iterations", 3),
        ("Checkpoints will be saved to work", None),
    ],
    ids=["epochs", "steps", "neither"],
)
def test_steps_that_a_checkpoint_has(tmp_path, line, step):
    assert written(tmp_path, "Epoch(train)  [1][19/19]  loss: 1", line).saved_step == step


def test_gaps_begin_with_the_first_progress(tmp_path):
    path = tmp_path / "run.log"
    lines = [(0, "Config:"), (30, "Iter(train) [1/9]"), (32, "slow"), (41, "Iter(train) [2/9]")]
    path.write_text("".join(HEAD.format(second, "WARNING", line) for second, line in lines))
    assert read_log(path).gaps_s == [2, 9]


def test_what_a_resumed_start_and_a_test_say(tmp_path):
    log = written(tmp_path, "Load checkpoint", "resumed epoch: 2, iter: 38")
    assert log.resumed_step == 38
    assert not log.is_test
    assert written(tmp_path, "Epoch(test) [10/19]    eta: 0:00:07").is_test


def test_no_log_is_an_empty_one(tmp_path):
    log = read_log(tmp_path / "missing.log")
    assert log.begin is None
    assert log.train_times == {}
