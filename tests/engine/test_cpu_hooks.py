import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmpose.registry import MODELS
from torch import nn
from torch.utils.data import DataLoader

from equikpt.core.machine import GIB
from equikpt.engine import cpu_hooks
from equikpt.engine.cpu_hooks import (
    AllocatorHook,
    ChannelsLastHook,
    ThreadBudgetHook,
    match_layout,
    split_cores,
    unsupported_reason,
)
from tests.conftest import REPO
from tests.engine.conftest import make_runner, scalar
from tests.interpreters import run_python

# --- the allocator ---

LINUX = pytest.mark.skipif(
    unsupported_reason() is not None, reason=f"the allocator is not ours: {unsupported_reason()}"
)

STEPS = """
import resource
import numpy as np
from equikpt.engine import cpu_hooks
{setting}
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():  # freed one after the other, as a graph frees its activations
    blocks = [np.ones(8 * 2**20) for _ in range(4)]
step()
before = faults()
for _ in range(4):
    step()
print(faults() - before)
"""

RELEASE = """
import numpy as np
from equikpt.engine import cpu_hooks
from equikpt.core.machine import resident_bytes
cpu_hooks.disable_malloc_trim()
blocks = [np.ones(8 * 2**20) for _ in range(4)]  # 256 MiB
full = resident_bytes()
del blocks
kept = resident_bytes()
cpu_hooks.release_freed_memory()
print(full, kept, resident_bytes())
"""


def numbers(code: str) -> list[int]:
    """The numbers that a process of its own prints."""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@LINUX
@pytest.mark.slow
def test_later_steps_ask_the_kernel_for_no_pages():
    (kept,) = numbers(STEPS.format(setting="cpu_hooks.disable_malloc_trim()"))
    (stock,) = numbers(STEPS.format(setting=""))
    assert stock > 100  # the control: pages do come and go without the setting
    assert kept < stock / 20


@LINUX
@pytest.mark.slow
def test_release_hands_back_what_is_free():
    full, kept, released = numbers(RELEASE)
    assert kept > 0.9 * full
    assert released < full - 200 * 2**20


@LINUX
@pytest.mark.parametrize(
    ("environ", "library", "reason"),
    [
        ({"MALLOC_TRIM_THRESHOLD_": "1"}, "libc.so", "MALLOC_"),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "libc.so", "GLIBC_TUNABLES"),
        ({}, "libjemalloc.so.2", "jemalloc"),
        ({}, "libtcmalloc_minimal.so.4", "tcmalloc"),
    ],
)
def test_settings_of_the_user_stay_in_charge(tmp_path, environ, library, reason):
    (tmp_path / "maps").write_text(f"7f00-7f01 r-xp 00000000 08:01 42 /usr/lib/{library}\n")
    assert reason in unsupported_reason(environ, tmp_path / "maps")


@pytest.mark.parametrize(("platform", "libc"), [("darwin", ""), ("linux", "musl")])
def test_other_c_libraries_are_left_alone(monkeypatch, platform, libc):
    monkeypatch.setattr(cpu_hooks.sys, "platform", platform)
    monkeypatch.setattr(cpu_hooks.platform, "libc_ver", lambda: (libc, "1"))
    assert "not glibc" in unsupported_reason({})


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What the hook asks of the C library, which must not change for the other tests."""
    asked: list[str] = []
    monkeypatch.setattr(cpu_hooks, "disable_malloc_trim", lambda: asked.append("keep"))
    monkeypatch.setattr(cpu_hooks, "release_freed_memory", lambda: asked.append("release"))
    monkeypatch.setattr(cpu_hooks, "unsupported_reason", lambda: None)
    return asked


@pytest.mark.parametrize(
    ("enabled", "obstacle", "line"),
    [(True, None, "kept"), (False, None, "switched off"), (True, "jemalloc", "jemalloc")],
    ids=["set", "switched off", "another allocator"],
)
def test_the_allocator_is_set_or_the_log_says_why_not(calls, monkeypatch, enabled, obstacle, line):
    monkeypatch.setattr(cpu_hooks, "unsupported_reason", lambda: obstacle)
    monkeypatch.setattr(cpu_hooks, "memory_bytes", lambda: (0, 100 * GIB))
    hook, runner = AllocatorHook(enabled), make_runner()
    hook.before_run(runner)
    hook.after_train_epoch(runner)
    assert calls == (["keep", "release"] if line == "kept" else [])
    assert line in runner.lines[0]


@pytest.mark.parametrize(("free_gib", "is_short"), [(5, True), (15, False)])
def test_memory_is_handed_back_where_it_runs_short(calls, monkeypatch, free_gib, is_short):
    monkeypatch.setattr(cpu_hooks, "memory_bytes", lambda: (free_gib * GIB, 100 * GIB))
    hook, runner = AllocatorHook(min_free=0.1), make_runner()
    hook.before_run(runner)
    hook.after_train_epoch(runner)
    assert ("release" in calls) is is_short
    assert scalar(runner, "train/resident_gib") > 0


def test_a_fraction_of_memory_out_of_range_is_refused():
    with pytest.raises(ValueError, match="min_free"):
        AllocatorHook(min_free=10)


# --- channels_last ---


@pytest.fixture
def backbone(request):
    torch.manual_seed(0)
    name = getattr(request, "param", "rtmpose_m_ap10k")
    return MODELS.build(Config.fromfile(REPO / f"configs/smoke/{name}.py").model.backbone)


def runner_of(model: nn.Module, *hooks):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return make_runner(model=model, hooks=hooks, optim_wrapper=SimpleNamespace(optimizer=optimizer))


@pytest.mark.parametrize("backbone", ["rtmpose_m_ap10k", "hrnet_w32_ap10k"], indirect=True)
def test_same_features_and_gradients_in_another_layout(backbone):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    backbone.train()

    def run():
        features = backbone(images)[-1]
        backbone.zero_grad()
        features.square().mean().backward()
        gradients = [p.grad.clone() for p in backbone.parameters() if p.grad is not None]
        return features.detach(), gradients

    before, gradients_before = run()
    parameters = list(backbone.parameters())
    ChannelsLastHook().before_train(runner_of(backbone))
    after, gradients_after = run()

    assert after.is_contiguous(memory_format=torch.channels_last)
    assert not before.is_contiguous(memory_format=torch.channels_last)
    peak = before.abs().max()
    torch.testing.assert_close(after / peak, before / peak, rtol=0, atol=1e-4)
    for one, other in zip(gradients_after, gradients_before, strict=True):
        scale = other.abs().max().item() + 1e-6
        torch.testing.assert_close(one / scale, other / scale, rtol=1e-3, atol=1e-3)
    # the optimizer and DDP hold the parameters themselves
    assert all(one is other for one, other in zip(backbone.parameters(), parameters, strict=True))


def test_the_layout_is_off_by_one_key(backbone):
    ChannelsLastHook(enabled=False).before_train(runner_of(backbone))
    assert all(p.is_contiguous() for p in backbone.parameters())


@pytest.mark.parametrize("update_buffers", [True, False], ids=["with statistics", "weights alone"])
def test_an_average_takes_the_layout_and_goes_on_averaging(backbone, update_buffers):
    """The average is made before the layout changes, and follows the weights after it."""
    hook = EMAHook("ExponentialMovingAverage", momentum=0.5, update_buffers=update_buffers)
    owner = runner_of(backbone, hook)
    hook.before_run(owner)
    hook.after_train_iter(owner, 0)
    before = backbone.stem[0].conv.weight.detach().clone()
    ChannelsLastHook().before_test(owner)
    with torch.no_grad():
        backbone.stem[0].conv.weight += 1
    hook.after_train_iter(owner, 1)
    average = hook.ema_model.module.stem[0].conv.weight
    torch.testing.assert_close(average, before + 0.5)
    assert average.stride() == backbone.stem[0].conv.weight.stride() != before.stride()


@pytest.mark.parametrize("saved_in", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("resumed_in", [torch.channels_last, torch.contiguous_format])
def test_a_resumed_optimizer_steps_as_the_one_that_went_on(saved_in, resumed_in):
    """The fused kernel does not look at strides: a state in the other layout spoils the step."""

    def conv(memory_format) -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(4, 8, 3).to(memory_format=memory_format)

    def step(model, optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            grad = torch.randn(parameter.shape, generator=generator)
            parameter.grad = torch.empty_like(parameter).copy_(grad)
        optimizer.step()

    whole = conv(saved_in)
    optimizer = torch.optim.AdamW(whole.parameters(), lr=0.01, fused=True)
    step(whole, optimizer, 1)
    resumed = conv(resumed_in)
    resumed.load_state_dict(whole.state_dict())
    other = torch.optim.AdamW(resumed.parameters(), lr=0.01, fused=True)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    match_layout(other)
    step(whole, optimizer, 2)
    step(resumed, other, 2)
    torch.testing.assert_close(resumed.weight, whole.weight, rtol=0, atol=1e-7)


# --- threads ---


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
    monkeypatch.setattr(cpu_hooks, "usable_cores", lambda: 2)
    monkeypatch.setattr(cpu_hooks, "is_cuda_available", lambda: False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    before = torch.get_num_threads()
    loader = DataLoader(list(range(4)), num_workers=2, persistent_workers=True, timeout=5)
    yield make_runner(train_dataloader=loader, val_loop=None)
    torch.set_num_threads(before)


def test_the_loader_starts_no_more_workers_than_it_may(runner):
    ThreadBudgetHook().before_train(runner)
    assert torch.get_num_threads() == 2
    assert runner.train_dataloader.num_workers == 0
    assert [batch.item() for batch in runner.train_dataloader] == [0, 1, 2, 3]
    assert "of 2 cores 2 compute and 0 load" in runner.lines[0]
    assert "asks for 2 loader workers" in runner.lines[0]


@pytest.mark.parametrize("variable", ["LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"])
def test_processes_share_the_cores_and_the_users_threads_stay(runner, monkeypatch, variable):
    monkeypatch.setenv(variable, "2" if variable == "LOCAL_WORLD_SIZE" else "1")
    torch.set_num_threads(1)
    ThreadBudgetHook().before_train(runner)
    assert torch.get_num_threads() == 1


def test_the_budget_is_off_by_one_key(runner):
    ThreadBudgetHook(enabled=False).before_train(runner)
    assert runner.train_dataloader.num_workers == 2
    assert not runner.lines


@pytest.mark.parametrize(("waited", "word"), [(0.3, "num_workers"), (0.01, "1%")])
def test_the_log_says_how_much_of_a_step_is_waiting(runner, waited, word):
    hook = ThreadBudgetHook()
    for _ in range(4):
        runner.message_hub.update_scalar("train/data_time", waited)
        runner.message_hub.update_scalar("train/time", 1.0)
    hook.after_train_epoch(runner)
    assert word in runner.lines[0]
    hook.before_train(runner)  # workers that it took away it does not ask for
    hook.after_train_epoch(runner)
    assert "raise train_dataloader.num_workers" not in runner.lines[-1]
