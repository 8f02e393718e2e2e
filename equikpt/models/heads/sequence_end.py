"""When a sequence of points is over, and within which interval its number lies."""

from __future__ import annotations

import numpy as np
from torch import Tensor

INTERVAL = (0.1, 0.9)
"""Probabilities of being over at the ends of the interval that the number lies in."""


def ending(done_logits: Tensor, total: Tensor, balance: str) -> Tensor:
    """Probability that a sequence ends at a step, if it has come so far, (B, S).

    Where both classes of done are weighed alike in training, done gets as many times as likely as
    there are things; dividing its odds by their number takes that back.

    Args:
        done_logits: (B, S).
        total: (B, 1), ``count_left`` of the first step.
        balance: The ``done_balance`` of the training.

    Source: Elkan, 2001, The Foundations of Cost-Sensitive Learning (odds and class weights).
    """
    if balance != "steps":
        done_logits = done_logits - total.clamp_min(1).log()
    return done_logits.sigmoid()


def points_before(over: np.ndarray, probability: float) -> int:
    """Points of a sequence until it is over with a probability, at most M, from (M + 1,)."""
    ends = (over >= probability).nonzero()[0]
    return int(ends[0]) if len(ends) else len(over) - 1
