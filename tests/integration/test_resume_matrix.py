"""A run that was stopped anywhere, once or often, is the uninterrupted run: rates, lists, files."""

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest
from mmengine.runner import Runner

from equikpt.compat.safe_load import is_complete
from equikpt.core.project import STABLE
from equikpt_runtime import files
from tests.integration.resumable import Course, Killed, at, config, never, outcome, resume, train

PLATEAU = [
    dict(type="WarmupLR", start_factor=0.1, by_epoch=False, end=3),
    dict(
        type="ReduceOnPlateauLR", monitor="score", rule="greater", factor=0.1, patience=1, begin=1
    ),
]
SCHEDULES = {
    "plateau": PLATEAU,
    "cosine by steps": [
        dict(type="CosineAnnealingLR", T_max=8, by_epoch=True, convert_to_iter_based=True)
    ],
    "warm-up and milestones": [
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=5),
        dict(type="MultiStepLR", milestones=[3, 5], gamma=0.3, by_epoch=True),
    ],
    "warm-up and restarts": [
        dict(type="WarmupLR", start_factor=0.1, by_epoch=False, end=3),
        dict(
            type="ChainedCosineRestartLR",
            periods=[2.5, 5.5],
            eta_min_ratio=0.01,
            by_epoch=True,
            convert_to_iter_based=True,
        ),
    ],
}
EVENTS = ("step", "epoch saved", "validation batch", "validated", "validation saved")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Leave out what takes most of such a short run and has nothing to do with it."""
    monkeypatch.setattr(Runner, "_log_env", lambda self, env_cfg: None)
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The outcome of the uninterrupted run, each made once."""
    known: dict[str, dict] = {}

    def of(name: str, **options) -> dict:
        key = f"{name} {sorted(options.items())}"
        if key not in known:
            known[key] = whole(tmp_path_factory.mktemp("whole"), SCHEDULES[name], **options)
        return known[key]

    return of


def whole(folder: Path, scheduler: list[dict], **options) -> dict:
    course = Course()
    return outcome(train(config(folder, scheduler, **options), course, never), course)


def in_pieces(folder: Path, scheduler: list[dict], stops, **options) -> dict:
    """Stop at each of ``stops`` in turn, resume after each."""
    cfg, course = config(folder, scheduler, **options), Course()
    train(cfg, course, stops[0])
    assert course.killed
    for stop in stops[1:]:
        resume(cfg, course, stop)
    return outcome(resume(cfg, course, never), course)


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for key in expected:
        assert found[key] == expected[key], key


slow = pytest.mark.slow


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    "schedule", ["plateau", *(pytest.param(name, marks=slow) for name in [*SCHEDULES][1:])]
)
def test_stopped_once(tmp_path, expected, schedule, event):
    """In epoch 4, the second on a plateau: of two steps, two batches of validation."""
    number = 8 if event in ("step", "validation batch") else 4
    found = in_pieces(tmp_path, SCHEDULES[schedule], [at(event, number)])
    assert_same(found, expected(schedule))


OPTIONS = {
    "checkpoint each third epoch": {"default_hooks.checkpoint.interval": 3},
    "validation each second epoch": {"train_cfg.val_interval": 2},
    "one checkpoint kept": {"default_hooks.checkpoint.max_keep_ckpts": 1},
    "two best ones": {
        "default_hooks.checkpoint.save_best": ["score", "mean"],
        "default_hooks.checkpoint.rule": ["greater", "less"],
    },
    "the best one alone": {"default_hooks.top_k.k": 1},
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name, marks=[] if name == "two best ones" else slow)
        for name, options in OPTIONS.items()
    ],
)
def test_stopped_again_and_again(tmp_path, expected, options):
    """At each kind of moment in turn, until it is through."""
    stops = [at(EVENTS[number % len(EVENTS)], 1 + number % 3) for number in range(12)]
    found = in_pieces(tmp_path, PLATEAU, stops, **options)
    assert_same(found, expected("plateau", **options))


WRITES = 110


class Writes:
    """Count what changes the folder, and stop before or after the n-th time."""

    def __init__(self, monkeypatch, number: int, after: bool) -> None:
        self.count, self.number, self.after = 0, number, after
        for module, name in ((os, "replace"), (os, "remove"), (Path, "unlink")):
            monkeypatch.setattr(module, name, self.counted(getattr(module, name)))

    def counted(self, change):
        def changed(path, *arguments, **options):
            if str(path).endswith(".part") and change.__name__ != "replace":
                return change(path, *arguments, **options)
            self.count += 1
            if self.count == self.number and not self.after:
                raise Killed
            result = change(path, *arguments, **options)
            if self.count == self.number:
                raise Killed
            return result

        return changed


@pytest.mark.parametrize(
    "number", [36, *(pytest.param(number, marks=slow) for number in range(1, WRITES + 1))]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_stopped_at_any_write(tmp_path, expected, monkeypatch, number, after):
    """Between any two changes of the folder its files go together."""
    wanted = expected("plateau")
    with monkeypatch.context() as patch:
        writes = Writes(patch, number, after)
        cfg, course = config(tmp_path, PLATEAU), Course()
        runner = train(cfg, course, never)
    for name in STABLE:  # a link leads to a whole file from its first moment on
        assert not (tmp_path / name).is_symlink() or is_complete(tmp_path / name)
    if runner is None:
        runner = resume(cfg, course, never)
    else:
        assert writes.count < number
    assert_same(outcome(runner, course), wanted)


def test_killed_processes(tmp_path, expected):
    """By SIGKILL, some moments after an event: nothing is cleaned up, the next start does it."""
    wanted, rng = expected("plateau"), random.Random(0)
    cfg = config(tmp_path, PLATEAU)
    fork = multiprocessing.get_context("fork")
    for _ in range(6):
        reached, tell = fork.Pipe(duplex=False)

        def tell_event(event: str, count: int, tell=tell) -> bool:
            tell.send(event)
            return False

        child = fork.Process(target=resume, args=(cfg, Course(), tell_event))
        child.start()
        for _ in range(rng.randint(3, 12)):
            while child.is_alive() and not reached.poll(0.05):
                pass
            if not reached.poll():  # it has ended
                break
            reached.recv()
        time.sleep(rng.uniform(0, 0.02))
        child.kill()
        child.join()
    course = Course()
    found = outcome(resume(cfg, course, never), course)
    for key in ("steps", "newest", "files", "top", "links", "infos", "states"):
        assert found[key] == wanted[key], key
