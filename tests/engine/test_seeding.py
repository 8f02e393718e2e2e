from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from equikpt.engine.seeding import equikpt_worker_init_fn, seed_everything


def draws() -> tuple:
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def test_same_seed_epoch_and_rank_draw_the_same():
    seed_everything(3, 5, 0)
    first = draws()
    seed_everything(3, 5, 0)
    assert draws() == first


@pytest.mark.parametrize("other", [(4, 5, 0), (3, 6, 0), (3, 5, 1)], ids=["seed", "epoch", "rank"])
def test_every_part_counts(other):
    seed_everything(3, 5, 0)
    first = draws()
    seed_everything(*other)
    assert not set(draws()) & set(first)


class Draws(Dataset):
    """Each item is what the worker's three generators give."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.tensor(draws())


def epoch(seed: int, number: int) -> torch.Tensor:
    seed_everything(seed, number, 0)
    loader = DataLoader(Draws(), num_workers=2, worker_init_fn=equikpt_worker_init_fn)
    return torch.cat(list(loader))


def test_workers_draw_anew_in_each_epoch_and_the_same_when_repeated():
    first = epoch(0, 0)
    assert torch.equal(epoch(0, 0), first)
    assert not torch.isclose(epoch(0, 1), first).any()
    assert len(first[:, 1].unique()) == 4  # workers differ among themselves
