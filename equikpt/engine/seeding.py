"""Random numbers that depend on (seed, epoch, rank) alone, so that resuming is exact."""

from __future__ import annotations

import random

import cv2
import numpy as np
import torch
from mmengine.registry import FUNCTIONS


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
    which :class:`~equikpt.engine.hooks.epoch_seed_hook.EpochSeedHook` seeds by epoch.
    """
    state = np.random.SeedSequence(torch.initial_seed()).generate_state(2)
    random.seed(int(state[0]))
    np.random.seed(int(state[1]))  # noqa: NPY002
    cv2.setNumThreads(0)  # workers are the parallelism
