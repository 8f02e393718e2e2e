"""Random numbers that depend on (seed, epoch, rank) alone, so that resuming is exact."""

from __future__ import annotations

import random

import cv2
import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmpose.registry import HOOKS


def seed_everything(seed: int, epoch: int, rank: int) -> None:
    """Seed Python, numpy and torch for one epoch on one rank."""
    state = np.random.SeedSequence([seed, epoch, rank]).generate_state(3)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002 - MMPose's transforms draw from this state
    torch.manual_seed(int(state[2]))


@FUNCTIONS.register_module()
def equikpt_worker_init_fn(worker_id: int) -> None:
    """Seed a loader worker from torch's own seed for it, which is new in every epoch.

    MMEngine's default seeds a worker with a constant, so that without persistent workers each
    epoch draws the same augmentations. torch derives its worker seeds from the main process,
    which :class:`~equikpt.engine.seeding.EpochSeedHook` seeds by epoch.
    """
    state = np.random.SeedSequence(torch.initial_seed()).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002
    cv2.setNumThreads(0)  # workers are the parallelism


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed each epoch from (seed, epoch, rank): an interrupted and resumed run is the same run.

    Augmentation, dropout and the loader workers' seeds follow from it (set
    ``persistent_workers=False`` and ``worker_init_fn=dict(type="equikpt_worker_init_fn")``). The
    order of the images already depends on the epoch alone (``DistSamplerSeedHook``).

    Note:
        Any priority will do: nothing draws random numbers between this event and the first batch.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed the main process; workers are forked after this."""
        seed_everything(runner.seed, runner.epoch, runner.rank)
