"""A sampler that ends an epoch early."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from mmpose.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class CappedSampler(DefaultSampler):
    """:class:`DefaultSampler` that takes at most ``max_samples`` an epoch.

    Shuffled, each epoch draws other ones; in order, they are evenly spaced, the same each time.
    MMEngine's ``num_batch_per_epoch`` takes the first ones for ever, and fails on a data set that
    has fewer.

    Args:
        dataset: To draw from.
        max_samples: Samples an epoch, of all ranks together; None takes all.
        **kwargs: ``shuffle``, ``seed`` and ``round_up`` as :class:`DefaultSampler`.

    Raises:
        ValueError: ``max_samples`` below 1.
    """

    def __init__(self, dataset: Sized, max_samples: int | None = None, **kwargs) -> None:
        if max_samples is not None and max_samples < 1:
            raise ValueError(f"expected max_samples of at least 1, or None, got {max_samples}")
        self.size = len(dataset)
        # the base class reads nothing but the length
        super().__init__(range(min(self.size, max_samples or self.size)), **kwargs)

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank."""
        count = len(self.dataset)
        if self.shuffle and count < self.size:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            chosen = torch.randperm(self.size, generator=generator)[:count].tolist()
        else:
            chosen = np.linspace(0, self.size - 1, count).round().astype(int).tolist()
        return (chosen[position] for position in super().__iter__())
