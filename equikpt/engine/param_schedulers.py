"""Schedulers that multiply the rate they find, so that several can act on one rate."""

from __future__ import annotations

import math
from typing import Any

from mmengine.optim import LinearLR
from mmengine.optim.scheduler.lr_scheduler import CosineRestartLR
from mmpose.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupLR(LinearLR):
    """Raise the rate in a line from ``start_factor`` to all of it, in at least two steps.

    MMEngine's ``LinearLR`` of one step leaves the rate at ``start_factor`` for good. Arguments are
    those of ``LinearLR``; with ``by_epoch`` and ``convert_to_iter_based``, ``begin`` and ``end``
    may be fractions of an epoch.
    """

    def __init__(self, optimizer: Any, *args: Any, begin: int = 0, end: int, **kwargs: Any) -> None:
        super().__init__(optimizer, *args, begin=begin, end=max(end, begin + 2), **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, begin: float = 0, end: float, epoch_length: int, **kwargs: Any
    ) -> WarmupLR:
        """Convert ``begin`` and ``end`` from epochs to steps."""
        kwargs["by_epoch"] = False
        begin, end = round(begin * epoch_length), round(end * epoch_length)
        return cls(*args, begin=begin, end=end, **kwargs)


@PARAM_SCHEDULERS.register_module()
class ChainedCosineRestartLR(CosineRestartLR):
    """Cosine annealing with warm restarts beside a warm-up.

    MMEngine's ``CosineRestartLR`` sets the rate anew where a period begins; a warm-up beside it
    then multiplies the full rate, by a thousand for ``start_factor=1e-3``. This one multiplies by
    the ratio of neighbouring values of the same curve. Loshchilov and Hutter, 2017,
    https://arxiv.org/abs/1608.03983.

    Args:
        periods: Length of each period, in epochs, or in steps without ``by_epoch``. With
            ``convert_to_iter_based``, fractions of an epoch are allowed: a period begins at the
            nearest step.
        restart_weights: Fraction of the full rate at which each period begins; 1 by default.
        eta_min_ratio: Fraction of the full rate at which each period ends, above 0.

    Other arguments are those of ``CosineRestartLR``.

    Raises:
        ValueError: ``eta_min_ratio`` that is not above 0.
    """

    def __init__(
        self,
        optimizer: Any,
        *args: Any,
        periods: list[int],
        restart_weights: list[float] | None = None,
        eta_min_ratio: float,
        **kwargs: Any,
    ) -> None:
        if not 0 < eta_min_ratio <= 1:
            raise ValueError(
                f"expected eta_min_ratio above 0 and up to 1, got {eta_min_ratio}; a rate of 0 "
                "cannot be multiplied back"
            )
        kwargs.update(periods=periods, eta_min_ratio=eta_min_ratio)
        kwargs["restart_weights"] = restart_weights or [1.0] * len(periods)
        super().__init__(optimizer, *args, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, periods: list[float], begin: float = 0, epoch_length: int, **kwargs: Any
    ) -> ChainedCosineRestartLR:
        """Convert periods, ``begin`` and ``end`` from epochs to steps."""
        kwargs["by_epoch"] = False
        if "end" in kwargs:
            kwargs["end"] = round(kwargs["end"] * epoch_length)
        edges = [round((begin + sum(periods[:i])) * epoch_length) for i in range(len(periods) + 1)]
        lengths = [max(1, after - before) for before, after in zip(edges, edges[1:], strict=False)]
        return cls(*args, periods=lengths, begin=edges[0], **kwargs)

    def _get_value(self) -> list[float]:
        ratio = self._factor(self.last_step)
        if self.last_step > 0:
            ratio /= self._factor(self.last_step - 1)
        return [group[self.param_name] * ratio for group in self.optimizer.param_groups]

    def _factor(self, step: int) -> float:
        """Fraction of the full rate at a step; after the last period that of its end."""
        index = self.get_position_from_periods(step, self.cumulative_periods)
        if index is None:
            return self.restart_weights[-1] * self.eta_min_ratio
        begin = self.cumulative_periods[index] - self.periods[index]
        cosine = (1 + math.cos(math.pi * (step - begin) / self.periods[index])) / 2
        fraction = self.eta_min_ratio + (1 - self.eta_min_ratio) * cosine
        return self.restart_weights[index] * fraction
