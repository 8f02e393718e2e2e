from __future__ import annotations

from types import SimpleNamespace

import pytest

from equikpt.engine.hooks import run_record_hook
from equikpt.engine.hooks.run_record_hook import RunRecordHook
from equikpt.engine.run_record import FILE, read_record


class Clock:
    """Stands in for the module ``time``."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(run_record_hook, "time", made)
    return made


def make_runner(work_dir, stamp: str = "20260101_100000", done: int = 0):
    """A runner by steps that has done some."""
    warnings: list[str] = []
    return SimpleNamespace(
        work_dir=str(work_dir),
        timestamp=stamp,
        iter=done,
        max_iters=20,
        train_loop=SimpleNamespace(max_iters=20),
        val_dataloader=[None] * 4,
        seed=3,
        launcher="none",
        logger=SimpleNamespace(warning=warnings.append),
        warnings=warnings,
    )


def test_steps_and_validations_are_recorded_with_their_times(tmp_path, clock):
    runner, hook = make_runner(tmp_path), RunRecordHook(interval_s=0)
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
    ((step, begin_s, end_s),) = start.validations
    assert (step, begin_s, end_s) == (2, began_s + 14, began_s + 19)
    assert start.seconds == end_s
    assert start.longest_gaps_s == [5, 7]
    assert start.environment["Python"]


def test_within_an_epoch_it_writes_each_few_seconds(tmp_path, clock):
    runner, hook = make_runner(tmp_path), RunRecordHook(interval_s=10)
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
    for stamp, done in (("20260101_100000", 0), ("20260102_100000", 12)):
        RunRecordHook().before_train(make_runner(tmp_path, stamp, done))
    found = [(each.folder, each.resumed_step) for each in read_record(tmp_path).starts]
    assert found == [("20260101_100000", 0), ("20260102_100000", 12)]


def test_only_the_first_rank_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(run_record_hook, "is_main_process", lambda: False)
    runner, hook = make_runner(tmp_path), RunRecordHook(interval_s=0)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    hook.before_val_epoch(runner)
    hook.after_val_epoch(runner)
    hook.after_train(runner)
    assert not (tmp_path / FILE).exists()


def test_a_validation_or_test_alone_is_no_start(tmp_path):
    runner, hook = make_runner(tmp_path), RunRecordHook(interval_s=0)
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0)
    hook.after_val_epoch(runner)
    assert not (tmp_path / FILE).exists()


def test_a_full_disk_does_not_end_the_run(tmp_path):
    (tmp_path / FILE).mkdir()  # a folder cannot be replaced by a file
    runner, hook = make_runner(tmp_path), RunRecordHook(interval_s=0)
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert len(runner.warnings) == 1


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="interval_s"):
        RunRecordHook(interval_s=-1)
