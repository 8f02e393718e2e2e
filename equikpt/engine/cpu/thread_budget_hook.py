"""One budget of cores for computing, loading and OpenCV."""

from __future__ import annotations

import os

import cv2
import torch
from mmengine.device import is_cuda_available
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.utils.data import DataLoader

from equikpt.core.machine import usable_cores


def split_cores(cores: int, workers: int, on_gpu: bool) -> tuple[int, int]:
    """Divide one process's cores between computing and loading.

    On a GPU the loader needs the cores. On a CPU a step computes for so long that one worker keeps
    up with many cores, and on two cores none is cheaper: OpenMP's threads wait for each other, so
    each core that a worker takes for a moment stops all of them.

    Args:
        cores: What this process may use.
        workers: What the config asks for; never more.
        on_gpu: Whether the model computes elsewhere.

    Returns:
        (threads, workers), with at least one thread.
    """
    if on_gpu:
        workers = min(workers, max(1, cores - 1))
        return max(1, cores - workers), workers
    workers = min(workers, 0 if cores <= 2 else max(1, cores // 8))
    return max(1, cores - workers), workers


@HOOKS.register_module()
class ThreadBudgetHook(Hook):
    """Keep threads and loader workers together within the cores, and say how they were split.

    torch alone takes a thread for every core, each loader adds its workers, and OpenCV adds
    threads of its own; more than there are cores slows all of them down. After each epoch the log
    says how much of a step waited for data.

    ``OMP_NUM_THREADS`` stays in charge of the threads where it is set.

    Args:
        enabled: Off with ``default_hooks.thread_budget.enabled=False``.
        wait_warning: Share of the step's time, from 0 to 1, above which waiting for data is worth
            a warning.
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
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        cores = max(1, usable_cores() // processes)
        loader = runner.train_dataloader
        asked = loader.num_workers
        threads, workers = split_cores(cores, asked, is_cuda_available())
        if "OMP_NUM_THREADS" in os.environ:
            threads = torch.get_num_threads()
        torch.set_num_threads(threads)
        cv2.setNumThreads(1)
        _limit_workers(loader, workers)
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
        """Say how much of the epoch's steps was waiting."""
        scalars = runner.message_hub.log_scalars
        if "train/data_time" not in scalars or "train/time" not in scalars:
            return
        steps = len(runner.train_dataloader)
        waited = scalars["train/data_time"].mean(steps)
        share = waited / max(scalars["train/time"].mean(steps), 1e-9)
        if share > self.wait_warning:
            more = "" if self._capped else "raise train_dataloader.num_workers, "
            runner.logger.warning(
                f"{share:.0%} of the training time was waiting for data; {more}keep the data on a "
                "faster disk, or make the images smaller"
            )
        else:
            runner.logger.info(f"{share:.0%} of the training time was waiting for data")


def _limit_workers(loader: DataLoader, workers: int) -> None:
    """Let a loader that has not started yet start fewer workers."""
    if loader.num_workers <= workers:
        return
    loader.num_workers = workers
    if workers == 0:  # what DataLoader refuses without workers
        loader.prefetch_factor = None
        loader.timeout = 0
        loader.multiprocessing_context = None
