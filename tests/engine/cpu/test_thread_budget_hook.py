from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch.utils.data import DataLoader

from equikpt.engine.cpu import thread_budget_hook
from equikpt.engine.cpu.thread_budget_hook import ThreadBudgetHook, split_cores


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("workers", [0, 1, 2, 16])
@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
def test_split_stays_within_the_cores(cores, workers, on_gpu):
    threads, loading = split_cores(cores, workers, on_gpu)
    assert threads >= 1
    assert 0 <= loading <= workers
    assert threads + loading <= max(cores, 2 if on_gpu and workers else 1)


def test_a_gpu_leaves_the_cores_to_the_loader():
    assert split_cores(16, 8, on_gpu=True) == (8, 8)
    assert split_cores(16, 8, on_gpu=False) == (14, 2)
    assert split_cores(2, 2, on_gpu=False) == (2, 0)


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.setattr(thread_budget_hook, "usable_cores", lambda: 2)
    monkeypatch.setattr(thread_budget_hook, "is_cuda_available", lambda: False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    before = torch.get_num_threads()
    lines: list[str] = []
    yield SimpleNamespace(
        train_dataloader=DataLoader(
            list(range(4)), num_workers=2, persistent_workers=True, timeout=5
        ),
        val_loop=None,
        lines=lines,
        logger=SimpleNamespace(info=lines.append, warning=lines.append),
        message_hub=MessageHub.get_instance("thread_budget"),
    )
    torch.set_num_threads(before)


def test_the_loader_starts_no_more_workers_than_it_may(runner):
    ThreadBudgetHook().before_train(runner)
    assert torch.get_num_threads() == 2
    assert runner.train_dataloader.num_workers == 0
    assert [batch.item() for batch in runner.train_dataloader] == [0, 1, 2, 3]
    assert "of 2 cores 2 compute and 0 load" in runner.lines[0]
    assert "asks for 2 loader workers" in runner.lines[0]


def test_what_it_took_away_it_does_not_ask_for(runner):
    hook = ThreadBudgetHook()
    hook.before_train(runner)
    runner.message_hub.update_scalar("train/data_time", 0.5)
    runner.message_hub.update_scalar("train/time", 1.0)
    hook.after_train_epoch(runner)
    assert "50%" in runner.lines[-1]
    assert "raise train_dataloader.num_workers" not in runner.lines[-1]


def test_processes_on_one_machine_share_the_cores(runner, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    ThreadBudgetHook().before_train(runner)
    assert torch.get_num_threads() == 1


def test_the_users_threads_stay(runner, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    ThreadBudgetHook().before_train(runner)
    assert torch.get_num_threads() == 1


def test_is_off_by_one_key(runner):
    ThreadBudgetHook(enabled=False).before_train(runner)
    assert runner.train_dataloader.num_workers == 2
    assert not runner.lines


@pytest.mark.parametrize(("waited", "word"), [(0.3, "num_workers"), (0.01, "1%")])
def test_says_how_much_of_a_step_is_waiting(runner, waited, word):
    for _ in range(4):
        runner.message_hub.update_scalar("train/data_time", waited)
        runner.message_hub.update_scalar("train/time", 1.0)
    ThreadBudgetHook().after_train_epoch(runner)
    assert word in runner.lines[0]
