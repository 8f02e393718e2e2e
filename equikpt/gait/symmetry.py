"""Vertical displacement of head, withers and pelvis, and its symmetry in trot.

In trot each goes down and up twice a stride. With the lowest points in the stances of the left and
of the right limb, and the highest points that follow each:

- MinDiff (HDmin, WDmin, PDmin) is the lowest point of the right stance less that of the left one,
- MaxDiff (HDmax, WDmax, PDmax) is the highest point after the left stance less that after the right
  one,
- UpDiff (HDup, WDup, PDup) is the rise after the left stance less that after the right one, which
  is their sum,
- SIup is UpDiff over the larger rise: the up–down symmetry, 0 for an even trot.

Stances are of the fore limbs for head and withers, of the hind limbs for the pelvis. Positive
values are the pattern of a horse that is lame on the right, fore or hind: signs and figures as in
figure 1 of https://doi.org/10.1111/evj.12446; UpDiff and withers as in Pfau et al., 2018, Equine
Vet. J. 50: 117 (https://doi.org/10.1111/evj.12705), where withers of the opposite sign to the head
speak for a hind limb; SIup as in Starke et al., 2012, Equine Vet. J. 44: 66. They describe a
movement and are not a diagnosis.

Before that, the mean over one stride is subtracted. It holds the drift of a tilted or moving camera
and of a slope, and none of what repeats with the stride; see Serra Bragança et al., 2020 (Biomed.
Signal Process. Control 57: 101674) for what other high-pass filters take away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from equikpt.gait.events import Stances
from equikpt.gait.measures import Measure
from equikpt.gait.names import HEAD
from equikpt.gait.strides import Stride
from equikpt.gait.trial import AXIAL_CUTOFF, Trial, at_times

SYMMETRICAL = ("trot",)
"""Gaits with two bounces a stride, one for each diagonal, that these measures are defined for."""
MAX_GAP = 0.1
"""Longest time without a point, in strides, in a stride and half of one around it (the trend's)."""
MOSTLY_GIVEN = 0.9
"""Part of the frames that points of the head are given in, if there are such."""


class Part(NamedTuple):
    """A part of the body.

    Args:
        roles: Points whose mean height is its own.
        letters: Of its measures in the literature.
        pair: ``f`` or ``h``, the limbs whose stances it is compared in.
        threshold_mm: Size of MinDiff and MaxDiff, in :data:`THRESHOLDS_OF`, from which a trial
            counts as asymmetrical; None where the literature has none.
    """

    roles: tuple[str, ...]
    letters: str
    pair: str
    threshold_mm: float | None = None


PARTS = dict(
    head=Part(HEAD, "HD", "f", 6.0),
    withers=Part(("withers",), "WD", "f"),
    pelvis=Part(("tail_base",), "PD", "h", 3.0),
)
THRESHOLDS_OF = (
    "inertial sensors on poll and pelvis, in trot on a straight line (Keegan et al., 2011, Am. J. "
    "Vet. Res. 72: 1156, https://doi.org/10.2460/ajvr.72.9.1156)"
)
"""Source of the thresholds, and what they are of."""
OWNERS_HORSES = (
    "161 of 222 riding horses that their owners held to be free from lameness passed one of them "
    "(Rhodin et al., 2017, PLoS ONE 12: e0176253, https://doi.org/10.1371/journal.pone.0176253)"
)
"""Share of horses in work beyond the thresholds."""


def symmetry(trial: Trial, strides: list[Stride], stances: Mapping[str, Stances]) -> list[Measure]:
    """Ranges of the heights in each stride, and in trot their symmetry."""
    found: list[Measure] = []
    for name, part in PARTS.items():
        there, height = displacement(trial, name)
        if not there:
            continue
        for stride in strides:
            start, end = stride.start_s[0], stride.end_s[0]
            if any(_has_gap(trial, role, start, end) for role in there):
                continue
            inside = (trial.times_s >= start) & (trial.times_s <= end)
            extent = np.ptp(height[:, inside], axis=1)
            found.append(Measure(stride.number, name, "range", "px", extent))
            middles = _middles(stride, stances, part.pair)
            if stride.gait in SYMMETRICAL and middles is not None:
                found += _differences(trial, stride.number, name, height, middles)
    return found


def displacement(trial: Trial, name: str) -> tuple[list[str], np.ndarray]:
    """Vertical displacement (R + 1, T) of a part of the body, px, less its mean over a stride.

    Returns:
        The points whose mean it is, none where the part has none, and the displacement.
    """
    there = [role for role in PARTS[name].roles if trial.has(role)]
    if not there:
        return [], np.empty((0, len(trial.times_s)))
    most = max(trial.given(role) for role in there)
    there = [role for role in there if trial.given(role) >= min(most, MOSTLY_GIVEN)]
    height = trial.mean_of(there, AXIAL_CUTOFF)[..., 1]
    return there, height - trend(trial.times_s, height, trial.stride_s)


def _has_gap(trial: Trial, role: str, start_s: float, end_s: float) -> bool:
    half, times = trial.stride_s / 2, trial.times_s
    span = max(start_s - half, times[0]), min(end_s + half, times[-1])
    return trial.gap(role, *span) > MAX_GAP * trial.stride_s


def trend(times_s: np.ndarray, series: np.ndarray, stride_s: float) -> np.ndarray:
    """Mean of series (R + 1, T) over one stride around each time; at the ends a line.

    >>> times = np.linspace(0, 3, 181)
    >>> wave = (np.sin(2 * np.pi * times) + 5 * times)[None]
    >>> bool(np.abs(trend(times, wave, 1.0) - 5 * times).max() < 0.01)
    True
    """
    steps = np.diff(times_s)
    area = np.zeros_like(series)
    area[:, 1:] = np.cumsum((series[:, 1:] + series[:, :-1]) / 2 * steps, axis=1)

    half = stride_s / 2
    inner = (times_s >= times_s[0] + half) & (times_s <= times_s[-1] - half)
    if not inner.any():
        return np.repeat(series.mean(axis=1, keepdims=True), len(times_s), axis=1)
    whole = times_s[times_s <= times_s[-1] - stride_s]
    ahead = at_times(times_s, series, whole + stride_s)
    rise = np.median(ahead - at_times(times_s, series, whole), axis=1) / stride_s
    middle = times_s[inner]
    ends = (at_times(times_s, area, middle + shift) for shift in (half, -half))
    mean = np.subtract(*ends) / stride_s
    place = np.searchsorted(middle, times_s).clip(0, len(middle) - 1)
    beyond = np.where(inner, 0.0, times_s - middle[place])
    return mean[:, place] + rise[:, None] * beyond


def _middles(
    stride: Stride, stances: Mapping[str, Stances], pair: str
) -> tuple[float, float] | None:
    """Middles of the stances of the left and the right limb, s."""
    middles = []
    for limb in (f"l{pair}", f"r{pair}"):
        place = stride.stances.get(limb)
        if place is None:
            return None
        middles.append((stances[limb].on_s[0, place] + stances[limb].off_s[0, place]) / 2)
    return (middles[0], middles[1]) if np.isfinite(middles).all() else None


def _differences(
    trial: Trial, number: int, name: str, height: np.ndarray, middles: tuple[float, float]
) -> list[Measure]:
    quarter = trial.stride_s / 4
    (low_l, high_l), (low_r, high_r) = (
        (
            extreme(trial.times_s, -height, middle, quarter),
            extreme(trial.times_s, height, middle + quarter, quarter),
        )
        for middle in middles
    )
    min_diff, max_diff = low_l - low_r, high_l - high_r  # lows are negated heights
    rise_l, rise_r = high_l + low_l, high_r + low_r
    index = (rise_l - rise_r) / np.maximum(rise_l, rise_r)
    letters = PARTS[name].letters
    rows = (("min", min_diff), ("max", max_diff), ("up", rise_l - rise_r))
    return [
        *(Measure(number, name, f"{letters}{end}", "px", values) for end, values in rows),
        Measure(number, name, "SIup", "", index),
    ]


def extreme(times_s: np.ndarray, series: np.ndarray, about_s: float, half_s: float) -> np.ndarray:
    """Highest values (R + 1,) within a span, between the frames; NaN where that is at its end."""
    inside = np.flatnonzero((times_s >= about_s - half_s) & (times_s <= about_s + half_s))
    if len(inside) < 3 or times_s[0] > about_s - half_s or times_s[-1] < about_s + half_s:
        return np.full(len(series), np.nan)
    best = series[:, inside].argmax(axis=1)
    rows, place = np.arange(len(series)), inside[best.clip(1, len(inside) - 2)]
    before, at, after = (series[rows, place + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    top = at - (before - after) ** 2 / 8 / np.where(bend < 0, bend, -np.inf)
    return np.where((best > 0) & (best < len(inside) - 1), top, np.nan)
