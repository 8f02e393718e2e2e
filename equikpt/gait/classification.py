"""The gait of a stride by the order and the times in which the hooves land.

Symmetrical gaits lie on a line by the lag of a fore hoof behind the hind hoof of its side: 0 for
the pace, a quarter for walk and tölt, a half for the trot (Hildebrand, 1965, Science 150: 701).
Walk and tölt land alike and differ by the duty factor, of a half. Canter and gallop have couples:
in the canter the second hind hoof lands with the first fore hoof, in the gallop before it; the
fore hoof that lands last names the lead. Robilliard, Pfau and Wilson, 2007, J. Exp. Biol. 210: 187
(https://doi.org/10.1242/jeb.02611) tell all of these by such times alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

UNCLEAR = "unclear"
MAX_DISTANCE = 0.10
"""Root mean square of the lags' differences from a row, in strides, beyond which none fits."""
TOGETHER = 0.06
"""Lag, in strides, up to which hooves land together."""
MIN_LIMBS = 3

_LEFT = {
    "canter": dict(rh=0.0, lh=0.24, rf=0.24, lf=0.48),
    "gallop": dict(rh=0.0, lh=0.13, rf=0.40, lf=0.53),
}
_SWAP = {"l": "r", "r": "l"}
GAITS: dict[str, dict[str, float]] = {
    "walk": dict(lh=0.0, lf=0.25, rh=0.5, rf=0.75),
    "trot": dict(lh=0.0, rf=0.0, rh=0.5, lf=0.5),
    "pace": dict(lh=0.0, lf=0.0, rh=0.5, rf=0.5),
    **{f"{name} left": row for name, row in _LEFT.items()},
    **{
        f"{name} right": {_SWAP[limb[0]] + limb[1]: lag for limb, lag in row.items()}
        for name, row in _LEFT.items()
    },
}
"""Hoof-on of each limb as a fraction of the stride, in round numbers."""


def gait_of(phases: Mapping[str, float], duty: float) -> str:
    """Name the gait of a stride: a row of :data:`GAITS`, ``tölt``, or ``unclear``.

    Args:
        phases: Hoof-on of three limbs or four, as a fraction of the stride.
        duty: Mean duty factor; NaN where it is not known.

    >>> gait_of(dict(lh=0.0, rf=0.02, rh=0.5, lf=0.51), 0.4)
    'trot'
    >>> gait_of(dict(lh=0.0, lf=0.26, rh=0.5, rf=0.77), 0.41)
    'tölt'
    >>> gait_of(dict(lh=0.0, rf=0.9), 0.4)
    'unclear'
    """
    limbs = [limb for limb in phases if np.isfinite(phases[limb])]
    if len(limbs) < MIN_LIMBS:
        return UNCLEAR
    distances = {name: _distance(phases, row, limbs) for name, row in GAITS.items()}
    best = min(distances, key=lambda name: distances[name])
    if distances[best] > MAX_DISTANCE:
        return UNCLEAR
    if best == "walk":
        if np.isnan(duty):
            return UNCLEAR
        return "walk" if duty >= 0.5 else "tölt"
    return best


def _distance(phases: Mapping[str, float], row: Mapping[str, float], limbs: list[str]) -> float:
    """Root mean square of what is left of the differences when the stride's start is free."""
    turns = np.exp(2j * np.pi * np.array([phases[limb] - row[limb] for limb in limbs]))
    middle = turns.sum()
    left = np.angle(turns * np.conj(middle)) / (2 * np.pi)
    return float(np.sqrt(np.mean(left**2)))


def footfalls(phases: Mapping[str, float]) -> str:
    """Name the hooves in the order in which they land, those that land together with a ``+``.

    >>> footfalls(dict(lh=0.0, rf=0.02, rh=0.5, lf=0.51))
    'lh+rf rh+lf'
    """
    order = sorted((limb for limb in phases if np.isfinite(phases[limb])), key=lambda x: phases[x])
    if not order:
        return ""
    text = order[0]
    for before, limb in itertools.pairwise(order):
        text += ("+" if phases[limb] - phases[before] <= TOGETHER else " ") + limb
    return text
