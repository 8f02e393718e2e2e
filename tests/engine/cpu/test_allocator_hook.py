from __future__ import annotations

from types import SimpleNamespace

import pytest

from equikpt.core.machine import GIB
from equikpt.engine.cpu import allocator, allocator_hook
from equikpt.engine.cpu.allocator_hook import AllocatorHook


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What the hook asks of the C library, which must not change for the other tests."""
    asked: list[str] = []
    monkeypatch.setattr(allocator, "disable_malloc_trim", lambda: asked.append("keep"))
    monkeypatch.setattr(allocator, "release_freed_memory", lambda: asked.append("release"))
    monkeypatch.setattr(allocator, "unsupported_reason", lambda: None)
    return asked


@pytest.fixture
def runner() -> SimpleNamespace:
    lines, scalars = [], {}
    return SimpleNamespace(
        lines=lines,
        scalars=scalars,
        logger=SimpleNamespace(info=lines.append, warning=lines.append),
        message_hub=SimpleNamespace(update_scalar=scalars.__setitem__),
    )


def test_sets_the_allocator_and_says_so(calls, runner):
    AllocatorHook().before_run(runner)
    assert calls == ["keep"]
    assert "kept" in runner.lines[0]


def test_is_off_by_one_key(calls, runner):
    hook = AllocatorHook(enabled=False)
    hook.before_run(runner)
    hook.after_train_epoch(runner)
    assert calls == []
    assert "switched off" in runner.lines[0]


def test_says_what_is_in_charge_instead(calls, runner, monkeypatch):
    monkeypatch.setattr(allocator, "unsupported_reason", lambda: "jemalloc replaces it")
    AllocatorHook().before_run(runner)
    assert calls == []
    assert "jemalloc" in runner.lines[0]


@pytest.mark.parametrize(("free_gib", "released"), [(5, True), (15, False)])
def test_hands_memory_back_where_it_runs_short(calls, runner, monkeypatch, free_gib, released):
    monkeypatch.setattr(allocator_hook, "memory_bytes", lambda: (free_gib * GIB, 100 * GIB))
    hook = AllocatorHook(min_free=0.1)
    hook.before_run(runner)
    hook.after_train_epoch(runner)
    assert ("release" in calls) is released
    assert runner.scalars["train/resident_gib"] > 0


def test_refuses_a_share_that_is_none():
    with pytest.raises(ValueError, match="min_free as a fraction"):
        AllocatorHook(min_free=10)
