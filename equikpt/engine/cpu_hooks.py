"""Hooks that only make training on a CPU faster: allocator, memory layout, threads."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import torch
from mmengine.device import is_cuda_available
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import nn
from torch.utils.data import DataLoader

from equikpt.compat.strict_load import unwrap
from equikpt.core.machine import GIB, memory_bytes, resident_bytes
from equikpt.engine.stages import rewrap_ddp
from equikpt_runtime.machine import usable_cores

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # <malloc.h>
TOP_PAD_BYTES = 64 * 2**20
OTHER_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc", "hoard")


def unsupported_reason(
    environ: Mapping[str, str] = os.environ, maps: Path = Path("/proc/self/maps")
) -> str | None:
    """Name what keeps glibc's allocator from being set here, or None where nothing does."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return "the C library is not glibc"
    if any(name.startswith("MALLOC_") and name.endswith("_") for name in environ):
        return "a MALLOC_* variable is set"
    if "glibc.malloc." in environ.get("GLIBC_TUNABLES", ""):
        return "GLIBC_TUNABLES sets the allocator"
    loaded = maps.read_text(encoding="utf-8", errors="replace") if maps.is_file() else ""
    replacing = (f"{other} replaces it" for other in OTHER_ALLOCATORS if f"lib{other}" in loaded)
    return next(replacing, None)


def disable_malloc_trim() -> None:
    """Take blocks of any size from the heap, and never hand its top back by itself.

    glibc maps every block above 32 MB anew and hands the top of its heap back to the kernel when it
    is freed (https://man7.org/linux/man-pages/man3/mallopt.3.html); a training step asks for the
    same gigabytes again. Holds for this process and what it forks; :func:`release_freed_memory`
    hands back what is free.

    Raises:
        OSError: The C library refuses.
    """
    libc = ctypes.CDLL(None)
    # -1 is the largest threshold there is: the value becomes a size_t
    for parameter, value in (
        (M_MMAP_MAX, 0),
        (M_TRIM_THRESHOLD, -1),
        (M_TOP_PAD, TOP_PAD_BYTES),
    ):
        if not libc.mallopt(parameter, value):
            raise OSError(
                f"expected glibc to take mallopt({parameter}, {value}), it refused; switch the "
                "setting off with default_hooks.allocator.enabled=False"
            )


def release_freed_memory() -> None:
    """Hand free pages back to the kernel, wherever in the heap they lie (``malloc_trim``)."""
    ctypes.CDLL(None).malloc_trim(0)


@HOOKS.register_module()
class AllocatorHook(Hook):
    """Stop glibc from handing a training step's memory back to the kernel.

    Nothing is set on another C library, beside another allocator, or where ``MALLOC_*`` or
    ``GLIBC_TUNABLES`` are set already. Resident memory is logged as ``resident_gib``; where less
    than ``min_free`` of the machine's memory is left after an epoch, what is free goes back.

    Args:
        enabled: Off with ``default_hooks.allocator.enabled=False``.
        min_free: Fraction of the memory that this process may use, from 0 to 1.

    Raises:
        ValueError: ``min_free`` out of range.
    """

    priority = "VERY_HIGH"  # before other hooks copy the model

    def __init__(self, enabled: bool = True, min_free: float = 0.1) -> None:
        if not 0 <= min_free < 1:
            raise ValueError(
                f"expected min_free as a fraction of the memory, at least 0 and below 1, got "
                f"{min_free}; 0.1 hands memory back when less than a tenth is free"
            )
        self.enabled = enabled
        self.min_free = min_free
        self._keeps = False

    def before_run(self, runner: Runner) -> None:
        """Set the allocator, once a process, and log it."""
        obstacle = unsupported_reason() if self.enabled else "switched off"
        if obstacle is None:
            disable_malloc_trim()
            self._keeps = True
        state = f"as it is, {obstacle}" if obstacle else "freed memory is kept for the next step"
        runner.logger.info(f"Allocator: {state}")

    def after_train_epoch(self, runner: Runner) -> None:
        """Log resident memory, and hand back what is free where memory runs short."""
        self.after_val_epoch(runner)
        runner.message_hub.update_scalar("train/resident_gib", resident_bytes() / GIB)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Hand back what is free where memory runs short: validation has other block sizes."""
        if not self._keeps:
            return
        free, total = memory_bytes()
        if free >= self.min_free * total:
            return
        before = resident_bytes()
        release_freed_memory()
        runner.logger.warning(
            f"{free / GIB:.1f} of {total / GIB:.1f} GiB of memory were free: handed back "
            f"{(before - resident_bytes()) / GIB:.1f} GiB"
        )


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store the weights of convolutions as ``(out, kH, kW, in)``; activations follow.

    Shapes, results and checkpoints are the same, up to rounding: only strides differ
    (https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html). Weights change
    after they are initialised, since torch draws random numbers in the order of the memory. The EMA
    hook's average follows them, which halves the time that it takes.

    Args:
        enabled: Off with ``default_hooks.channels_last.enabled=False``.
    """

    priority = "VERY_HIGH"  # before hooks that keep the wrapped model

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._is_done = False

    def before_train(self, runner: Runner) -> None:
        """Change the layout in place, and that of the optimizer's state."""
        self.before_val(runner)
        match_layout(runner.optim_wrapper.optimizer)

    def before_val(self, runner: Runner) -> None:
        """Change the layout in place, once."""
        if not self.enabled or self._is_done:
            return
        self._is_done = True
        model = unwrap(runner.model)
        if not any(isinstance(module, nn.Conv2d) for module in model.modules()):
            return
        model.to(memory_format=torch.channels_last)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                average = hook.ema_model
                average.module.to(memory_format=torch.channels_last)
                average.avg_parameters = (  # it holds on to the old tensors
                    average.module.state_dict()
                    if average.update_buffers
                    else dict(average.module.named_parameters())
                )
        rewrap_ddp(runner)
        runner.logger.info("Convolutions run in channels_last")

    before_test = before_val


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer's state the strides of the parameters, values unchanged.

    A checkpoint keeps the strides that the state had when it was written. torch's fused kernels for
    the CPU go through memory in its order, whatever the strides: with other strides they
    would silently mix up the entries.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if (
                isinstance(value, torch.Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def split_cores(cores: int, workers: int, on_gpu: bool) -> tuple[int, int]:
    """Divide one process's cores between computing and loading.

    On a GPU the loader needs the cores. On a CPU a step computes for so long that one worker keeps
    up with many cores, and on two cores none is cheaper: OpenMP's threads wait for each other, so
    each core that a worker takes for a moment stops all of them.

    Args:
        cores: Cores that this process may use.
        workers: Workers that the config asks for; never more.
        on_gpu: Whether the model computes elsewhere.

    Returns:
        (threads, workers), with at least one thread.
    """
    if on_gpu:
        workers = min(workers, max(1, cores - 1))
    else:
        workers = min(workers, 0 if cores <= 2 else max(1, cores // 8))
    return max(1, cores - workers), workers


@HOOKS.register_module()
class ThreadBudgetHook(Hook):
    """Keep threads and loader workers together within the cores, and log how they were split.

    torch alone takes a thread for every core, each loader adds its workers, and OpenCV adds
    threads of its own; more than there are cores slows all of them down. After each epoch the log
    says how much of a step waited for data. ``OMP_NUM_THREADS`` stays in charge where it is set.

    Args:
        enabled: Off with ``default_hooks.thread_budget.enabled=False``.
        wait_warning: Fraction of the step's time, from 0 to 1, above which waiting for data is
            worth a warning.
    """

    priority = "VERY_HIGH"  # before the loader's first iterator

    def __init__(self, enabled: bool = True, wait_warning: float = 0.2) -> None:
        self.enabled = enabled
        self.wait_warning = wait_warning
        self._capped = False

    def before_train(self, runner: Runner) -> None:
        """Split the cores; the loader starts its workers only after this."""
        if not self.enabled:
            return
        cores = max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
        asked = runner.train_dataloader.num_workers
        threads, workers = split_cores(cores, asked, is_cuda_available())
        if "OMP_NUM_THREADS" in os.environ:
            threads = torch.get_num_threads()
        torch.set_num_threads(threads)
        cv2.setNumThreads(1)
        _limit_workers(runner.train_dataloader, workers)
        if runner.val_loop is not None:
            _limit_workers(runner.val_dataloader, workers)
        self._capped = workers < asked
        line = f"Threads: of {cores} cores {threads} compute and {workers} load; OpenCV adds none"
        if self._capped:
            line += (
                f". The config asks for {asked} loader workers, which would slow the computing "
                "down; default_hooks.thread_budget.enabled=False takes them all the same"
            )
        runner.logger.info(line)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log how much of the epoch's steps was waiting."""
        scalars = runner.message_hub.log_scalars
        if "train/data_time" not in scalars or "train/time" not in scalars:
            return
        steps = len(runner.train_dataloader)
        waited = scalars["train/data_time"].mean(steps)
        fraction = waited / max(scalars["train/time"].mean(steps), 1e-9)
        line = f"{fraction:.0%} of the training time was waiting for data"
        if fraction > self.wait_warning:
            more = "" if self._capped else "raise train_dataloader.num_workers, "
            runner.logger.warning(
                f"{line}; {more}keep the data on a faster disk, or make the images smaller"
            )
        else:
            runner.logger.info(line)


def _limit_workers(loader: DataLoader, workers: int) -> None:
    if loader.num_workers <= workers:
        return
    loader.num_workers = workers
    if workers == 0:  # what DataLoader refuses without workers
        loader.prefetch_factor = None
        loader.timeout = 0
        loader.multiprocessing_context = None
