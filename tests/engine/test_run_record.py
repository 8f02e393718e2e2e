from types import SimpleNamespace

import pytest

from equikpt.engine import run_record
from equikpt.engine.run_record import FILE, RunRecordHook, read_record
from tests.engine.conftest import make_runner


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr(run_record, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


def runner_of(work_dir, stamp: str = "20260101_100000", done: int = 0):
    """A runner by steps that has done some."""
    return make_runner(
        work_dir=str(work_dir), timestamp=stamp, iter=done, max_iters=20, seed=3, launcher="none",
        train_loop=SimpleNamespace(max_iters=20), val_dataloader=[None] * 4,
    )  # fmt: skip


def test_steps_and_validations_are_recorded_with_their_times(tmp_path, clock):
    runner, hook = runner_of(tmp_path), RunRecordHook(interval_s=0)
    hook.before_train(runner)
    (start,) = read_record(tmp_path).starts
    assert (start.step, start.max_steps, start.seed, start.position) == (0, 20, 3, None)
    began_s = start.seconds
    for _ in range(2):
        clock.now_s += 7
        hook.after_train_iter(runner, 0)
        runner.iter += 1
    hook.before_val_epoch(runner)
    clock.now_s += 5
    hook.after_val_iter(runner, 0)
    (start,) = read_record(tmp_path).starts
    assert (start.loop, start.position, start.step) == ("val", (1, 4), 2)
    hook.after_val_epoch(runner)
    (start,) = read_record(tmp_path).starts
    assert start.validations == [(2, began_s + 14, began_s + 19)]
    assert start.seconds == began_s + 19
    assert start.longest_gaps_s == [5, 7]
    assert start.environment["Python"]


def test_within_an_epoch_it_writes_each_few_seconds(tmp_path, clock):
    runner, hook = runner_of(tmp_path), RunRecordHook(interval_s=10)
    hook.before_train(runner)
    written = []
    for _ in range(5):
        clock.now_s += 4
        hook.after_train_iter(runner, 0)
        runner.iter += 1
        written.append(read_record(tmp_path).starts[0].step)
    assert written == [0, 0, 3, 3, 3]
    (tmp_path / "iter_5.pth").touch()
    hook.after_train(runner)
    (start,) = read_record(tmp_path).starts
    assert (start.step, start.checkpoints) == (5, ["iter_5.pth"])


def test_a_resumed_start_is_added_to_those_before(tmp_path):
    starts = [("20260101_100000", 0), ("20260102_100000", 12)]
    for stamp, done in starts:
        RunRecordHook().before_train(runner_of(tmp_path, stamp, done))
    found = [(each.folder, each.resumed_step) for each in read_record(tmp_path).starts]
    assert found == starts


@pytest.mark.parametrize("trains", [True, False], ids=["another rank", "a validation alone"])
def test_only_the_first_rank_of_a_training_writes(tmp_path, monkeypatch, trains):
    monkeypatch.setattr(run_record, "is_main_process", lambda: not trains)
    runner, hook = runner_of(tmp_path), RunRecordHook(interval_s=0)
    if trains:
        hook.before_train(runner)
        hook.after_train_iter(runner, 0)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0)
    hook.after_val_epoch(runner)
    hook.after_train(runner)
    assert not (tmp_path / FILE).exists()


def test_a_full_disk_does_not_end_the_run(tmp_path):
    (tmp_path / FILE).mkdir()  # a folder cannot be replaced by a file
    runner, hook = runner_of(tmp_path), RunRecordHook(interval_s=0)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert len(runner.lines) == 1


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="interval_s"):
        RunRecordHook(interval_s=-1)
