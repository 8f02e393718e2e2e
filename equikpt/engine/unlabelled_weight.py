"""Weight of what a training learns from unlabelled images: its rise, and its end where it fails."""

from __future__ import annotations

import math
from dataclasses import dataclass


def ramp_up(progress: float, begin: float, end: float) -> float:
    """Factor of a weight: 0 up to ``begin``, then rising to 1 at ``end``, fractions of a training.

    Laine and Aila, 2017, https://arxiv.org/abs/1610.02242, exp(−5 (1 − t)²).

    >>> [round(ramp_up(p, 0.2, 0.6), 3) for p in (0.1, 0.2, 0.4, 0.6, 1.0)]
    [0.0, 0.007, 0.287, 1.0, 1.0]
    """
    if progress < begin:
        return 0.0
    rest = max(0.0, 1 - (progress - begin) / (end - begin))
    return math.exp(-5 * rest**2)


@dataclass
class ShareWatch:
    """Watch of the share of confident keypoints, which falls where teacher and student collapse.

    Both agree then on saying nothing: Xie et al., 2021, https://arxiv.org/abs/2011.12498.

    Args:
        best: Highest share of an epoch so far.
        low_epochs: Epochs in a row below half of it.
        stopped: Two were.
    """

    best: float = 0.0
    low_epochs: int = 0
    stopped: bool = False

    def see(self, share: float) -> None:
        """Take the share of an epoch."""
        self.best = max(self.best, share)
        self.low_epochs = self.low_epochs + 1 if share < self.best / 2 else 0
        self.stopped = self.stopped or self.low_epochs >= 2
