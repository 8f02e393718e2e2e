"""Targets and weights of the steps of a pointing sequence, and its end.

Letters: B images, N points in their order (padded), S steps. Step n knows the first n points.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from equikpt.models.sequential_attention import Steps

DONE_BALANCES = ("steps", "balanced", "sampled")


class SequenceTargets(NamedTuple):
    """All S steps of a batch of B images under teacher forcing, and their targets."""

    steps: Steps
    input_points: Tensor
    """(B, S − 1, 2): the points that were given; step n knows the first n."""
    points: Tensor
    """(B, N, 2): the ground truth."""
    target_mask: Tensor
    """(B, S, N) of 0 and 1: those that each step's map should show; none where nothing is."""
    target: Tensor
    """(B, S, 2): the point that each step should have given; any if it has no target."""
    has_target: Tensor
    """(B, S) of 0 and 1."""
    done: Tensor
    """(B, S) of 0 and 1: whether nothing is left."""
    step_mask: Tensor
    """(B, S) of 0 and 1: whether the sequence gets to the step."""


def nearest_target(predicted: Tensor, points: Tensor, left: Tensor) -> Tensor:
    """Index of the target of each step, (B, S): the unmarked point nearest to the prediction.

    Any order of the points that are not marked yet gives the same targets. Where nothing is left
    it is any point; see :func:`has_target`.

    Args:
        predicted: (B, S, 2).
        points: (B, N, 2).
        left: (B, S, N), from :func:`remaining_mask`.
    """
    apart = (predicted[:, :, None] - points[:, None]).abs().sum(dim=-1)
    return apart.masked_fill(left <= 0, torch.inf).argmin(dim=-1)


def match_mask(given: Tensor, points: Tensor, valid: Tensor, radius: float) -> Tensor:
    """Match each given point with the gt point that it marks, (B, M, N) of 0 and 1.

    In their order each given point marks the nearest that none before it has marked, if that is
    within the radius; else none.

    Args:
        given: (B, M, 2).
        points: (B, N, 2).
        valid: (B, N), 0 for padding.
        radius: In normalised coords.
    """
    apart = torch.cdist(given, points, compute_mode="donot_use_mm_for_euclid_dist")
    free, rows = valid > 0, []
    for distance in apart.unbind(dim=1):
        near, index = distance.masked_fill(~free, torch.inf).min(dim=-1, keepdim=True)
        row = torch.zeros_like(valid).scatter(1, index, (near <= radius).to(valid))
        free = free & (row <= 0)
        rows.append(row)
    return torch.stack(rows, dim=1)


def remaining_mask(valid: Tensor, marked: Tensor) -> Tensor:
    """1 where a point is valid and nothing that a step knows marks it, (B, M + 1, N).

    Args:
        valid: (B, N).
        marked: (B, M, N): those that each given point marks; the identity for gt points.
    """
    return valid[:, None] * (1 - pad(marked.cumsum(dim=1), (0, 0, 1, 0)))


def has_target(valid: Tensor, steps: int, named: bool) -> Tensor:
    """1 where a step has a target, (B, S): its own point if it is named, else any that is left.

    Args:
        valid: (B, N).
        steps: S, at least N.
        named: Whether step n means point n.
    """
    left = valid if named else valid.flip(1).cummax(dim=1).values.flip(1)
    return pad(left, (0, steps - valid.shape[1]))


def done_target(valid: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """1 where nothing is left, and 1 where a step counts, both (B, S).

    Steps after the first at which nothing is left do not count: no sequence gets there.
    """
    left = has_target(valid, steps, named=False)
    return 1 - left, pad(left[:, :-1], (1, 0), value=1.0)


def done_weights(
    done: Tensor, step_mask: Tensor, balance: str, generator: torch.Generator | None = None
) -> Tensor:
    """Weights of each step's done signal, (B, S), with a sum of 1 an image.

    ``"steps"``: all alike, so that one in N + 1 says done. ``"balanced"``: the step that says done
    as much as all others together. ``"sampled"``: that step and one of the others, at random.

    Args:
        done: (B, S) of 0 and 1.
        step_mask: (B, S) of 0 and 1.
        balance: One of :data:`DONE_BALANCES`.
        generator: For ``"sampled"``.
    """
    going, ending = step_mask * (1 - done), step_mask * done
    if balance == "sampled":
        drawn = torch.rand(going.shape, generator=generator, device=going.device) * going
        top = drawn.argmax(dim=1, keepdim=True)
        going = torch.zeros_like(going).scatter(1, top, going.gather(1, top))
    if balance != "steps":
        going, ending = _unit_rows(going), _unit_rows(ending)
    return _unit_rows(going + ending)


def _unit_rows(weights: Tensor) -> Tensor:
    """Rows of sum 1, or 0 where all are 0."""
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of values by weights of the same shape; 0 where all weights are 0."""
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


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
