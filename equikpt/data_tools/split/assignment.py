"""Assign units, which are images or groups of images, to the parts.

scikit-learn's ``StratifiedGroupKFold`` balances one class a sample, makes folds of equal size only,
and would be a dependency for this alone. Here an image has many features at once (labelled points
by keypoint, sizes, …) and parts have sizes of their own: units are dealt at random and then swapped
as long as that improves the balance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

PASSES = 2
COMPARED = 200
"""Units that each one is compared with in a pass, drawn anew; all of them where there are fewer."""


def shuffled(names: Sequence[str], seed: int) -> np.ndarray:
    """(U,) indices of the names in an order that depends on the names and the seed alone."""
    keys = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    return np.array(sorted(range(len(names)), key=keys.__getitem__), int)


def image_targets(count: int, shares: Sequence[float]) -> np.ndarray:
    """(P,) whole numbers next to ``shares`` of ``count`` whose sum is ``count``.

    What is left after rounding down goes to the parts with the largest remainders; a part with a
    share has at least one image where there are enough.
    """
    exact = np.asarray(shares, float) / sum(shares) * count
    targets = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(targets - exact, kind="stable")
    targets[order[: count - targets.sum()]] += 1
    while count >= len(targets) and not targets.min():
        targets[targets.argmax()] -= 1
        targets[targets.argmin()] += 1
    return targets


def deal(sizes: np.ndarray, targets: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give each unit to a part, the largest units first.

    A unit goes to the part that lacks the largest share of its target. A part is full where the
    unit would take it farther from its target; units of one image meet all targets.

    Args:
        sizes: (U,) images of each unit.
        targets: (P,) images of each part.
        order: (U,) units, those of one size in the order in which they are dealt.

    Returns:
        (U,) parts. No part is empty if there are as many units as parts.
    """
    held, units = np.zeros(len(targets), int), np.zeros(len(targets), int)
    parts = np.zeros(len(order), int)
    queue = order[np.argsort(-sizes[order], kind="stable")]
    for done, unit in enumerate(queue):
        full = held + sizes[unit] / 2 > targets
        closed = np.zeros_like(full) if full.all() else full
        if len(queue) - done <= (units == 0).sum():
            closed = units > 0
        part = int(np.where(closed, np.inf, (held - targets) / targets).argmin())
        parts[unit] = part
        held[part] += sizes[unit]
        units[part] += 1
    return parts


def balance(
    parts: np.ndarray,
    features: Sequence[np.ndarray],
    targets: np.ndarray,
    order: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Swap units between parts while that makes the parts more alike.

    The imbalance, summed over features f and parts p, is ``w_f (have − t)² / (t · total_f)`` with
    ``t = share_p · total_f``: what a chi-squared test of equal shares adds up. ``w_f`` is one over
    the number of features of f's family.

    Args:
        parts: (U,) of :func:`deal`.
        features: Families, each (U, F) counts of what the units hold; images are one of them.
        targets: (P,) images of each part.
        order: (U,) units in the order of their turns.
        seed: Of the units that are compared.

    Returns:
        (U,) parts.
    """
    parts, scaled = parts.copy(), _scaled(features)
    shares = targets / targets.sum()
    excess = -shares[:, None] * scaled.sum(axis=0)
    np.add.at(excess, parts, scaled)
    rng = np.random.default_rng(seed)
    turns = np.tile(order, PASSES)
    for unit in tqdm(turns, desc="balancing", unit="unit", delay=5, disable=None):
        few = len(order) <= COMPARED
        others = order if few else order[rng.integers(0, len(order), COMPARED)]
        others = others[parts[others] != parts[unit]]
        if not len(others):
            continue
        here, there = parts[unit], parts[others]
        moved = scaled[others] - scaled[unit]  # comes here, and leaves there
        change = ((2 * excess[here] + moved) * moved).sum(axis=1) / shares[here]
        change += ((moved - 2 * excess[there]) * moved).sum(axis=1) / shares[there]
        best = int(change.argmin())
        if change[best] < -1e-12:
            excess[here] += moved[best]
            excess[there[best]] -= moved[best]
            parts[unit], parts[others[best]] = there[best], here
    return parts


def _scaled(features: Sequence[np.ndarray]) -> np.ndarray:
    """(U, F) all families side by side, such that squares need no other weight."""
    columns = []
    for family in features:
        totals = family.sum(axis=0)
        there = totals > 0
        if there.any():
            columns.append(family[:, there] / totals[there] / np.sqrt(there.sum()))
    return np.concatenate(columns, axis=1)
