"""Hoof-on and hoof-off of each limb.

A hoof in its stance goes back along the trunk at an even speed, and stays at one height; in its
swing it comes forward and lifts. Both events are change points: a line on one side and a parabola
on the other meet there, in both coordinates, and the time of the meeting is that of the least sum
of squares. Along the trunk, which is smoothed, this holds for a camera that stands, one that pans,
and a treadmill. See Starke and Clayton, 2015 (https://doi.org/10.7717/peerj.783), for the events by
one marker on a hoof, and for what is left when only kinematics are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from equikpt.gait.names import fetlock, hoof
from equikpt.gait.trial import AXIAL_CUTOFF, Trial

SPANS = ((0.14, 0.13, 0.2), (0.1, 0.1, 0.2))
"""Half the span of candidates, and the spans of the swing and of the stance that are fitted beyond,
in strides: around the extreme of the hoof's path, and then around the event that was found."""
COARSE_CUTOFF = 8.0
"""Cut-off of the path whose extremes are looked for, in stride frequencies."""
MIN_SWING = 0.3
"""Least way of a swing in the widest one's."""
MIN_SIDE_FRAMES = 3
Line = tuple[np.ndarray, np.ndarray, int]
"""A path (R + 1, T, 2) with its SD (T,), and the coordinate that is fitted."""


@dataclass(frozen=True, eq=False)
class Stances:
    """Stances of one limb, in their order; of events that were not found NaN.

    Args:
        on_s: (R + 1, N) hoof-on of the data and of R replicates.
        off_s: (R + 1, N) hoof-off that follows.
        speed: (R + 1, N) px/s of the trunk over the hoof.
        up: (N,) height of the hoof in mid-stance, px.
    """

    on_s: np.ndarray
    off_s: np.ndarray
    speed: np.ndarray
    up: np.ndarray


def find_stances(trial: Trial, limb: str) -> Stances:
    """Find the stances of a limb in a view from the side."""
    lines = _lines(trial, limb)
    trunk = trial.trunk(AXIAL_CUTOFF)[0, :, 0]
    coarse = trial.smoothed(hoof(limb), COARSE_CUTOFF)[0, :, 0] - trunk
    landings, leavings = _extremes(trial.times_s, coarse, trial.stride_s)
    on = [_found(trial, lines["on"], frame, landing=True) for frame in landings]
    off = [_found(trial, lines["off"], frame, landing=False) for frame in leavings]
    nothing = np.full(trial.options.replicates + 1, np.nan)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    if len(leavings) and not (len(landings) and landings[0] < leavings[0]):
        pairs.append((nothing, off[0]))
    for index, landing in enumerate(landings):
        end = landings[index + 1] if index + 1 < len(landings) else np.inf
        after = [time for frame, time in zip(leavings, off, strict=True) if landing < frame < end]
        pairs.append((on[index], after[0] if after else nothing))
    on_s, off_s = (
        np.stack(each, axis=1) for each in zip(*(pairs or [(nothing, nothing)]), strict=True)
    )
    speed, up = _stance_line(trial.times_s, *lines["on"][0][:2], on_s, off_s)
    return Stances(on_s, off_s, speed, up)


def find_swings(trial: Trial, limb: str) -> Stances:
    """Find the swings of a limb in a view along the animal, by the height of its hoof.

    Returns:
        The middles of its swings as hoof-on, and the next ones, a stride later, as hoof-off, so
        that lags between limbs and the middles of stances are what they are. Neither is an event.
    """
    role = hoof(limb)
    height = trial.smoothed(role, COARSE_CUTOFF)[..., 1]
    peaks = _extremes(trial.times_s, height[0], trial.stride_s)[0]
    step = float(np.median(np.diff(trial.times_s)))
    reach = max(2, round(0.12 * trial.stride_s / step))
    found = []
    for frame in peaks:
        inside = slice(max(0, frame - reach), frame + reach + 1)
        if trial.gap(role, *trial.times_s[inside][[0, -1]]) <= 0.1 * trial.stride_s + step:
            found.append(_lowest(trial.times_s[inside], -height[:, inside]))
    middles = np.stack(found or [np.full(len(height), np.nan)], axis=1)
    ground = np.quantile(height[0], 0.1)
    return Stances(
        middles,
        middles + trial.stride_s,
        np.full_like(middles, np.nan),
        np.full(middles.shape[1], ground),
    )


def _lines(trial: Trial, limb: str) -> dict[str, list[Line]]:
    """Paths that show the events: hoof-off shows in the fetlock's, since the heel leaves earlier.

    Without a fetlock the hoof has to do, and its hoof-off is nearer to that of the heel.
    """
    trunk = trial.trunk(AXIAL_CUTOFF)[..., 0]

    def line(role: str) -> tuple[np.ndarray, np.ndarray]:
        path = trial.measured(role)
        path[..., 0] -= trunk
        return path, trial.sigma(role)

    own = line(hoof(limb))
    if not trial.has(fetlock(limb)):
        return dict(on=[(*own, 0), (*own, 1)], off=[(*own, 0), (*own, 1)])
    above = line(fetlock(limb))
    return dict(on=[(*own, 0), (*own, 1), (*above, 0)], off=[(*above, 0)])


def _found(trial: Trial, lines: list[Line], frame: int, landing: bool) -> np.ndarray:
    """An event (R + 1,) near a frame; NaN where it does not show."""
    first, second = SPANS
    about_s = trial.times_s[frame]
    coarse = _change(trial.times_s, lines, about_s, trial.stride_s, landing, first)
    if np.isnan(coarse[0]):
        return coarse
    fine = _change(trial.times_s, lines, coarse[0], trial.stride_s, landing, second)
    return np.where(np.isfinite(fine), fine, coarse)


def _extremes(times: np.ndarray, wave: np.ndarray, stride_s: float) -> tuple[np.ndarray, ...]:
    """Frames of the foremost and of the hindmost points of a hoof's path."""
    apart = max(1, int(0.55 * stride_s / np.median(np.diff(times))))
    least = MIN_SWING * np.ptp(np.quantile(wave, [0.02, 0.98]))
    padded = np.pad(wave, 1, mode="edge")  # an extreme at the end is none
    front = find_peaks(padded, distance=apart, prominence=least)[0] - 1
    back = find_peaks(-padded, distance=apart, prominence=least)[0] - 1
    return front, back


def _change(
    times: np.ndarray,
    lines: list[Line],
    about_s: float,
    stride_s: float,
    landing: bool,
    span: tuple[float, float, float],
) -> np.ndarray:
    """Times (R + 1,) of a change point near ``about_s``; NaN where the frames do not show it."""
    search, swing_span, stance_span = span
    before, after = (swing_span, stance_span) if landing else (stance_span, swing_span)
    low, high = about_s - (search + before) * stride_s, about_s + (search + after) * stride_s
    step = float(np.median(np.diff(times)))
    grid = np.arange(-search * stride_s, search * stride_s + 1e-9, step / 4) + about_s
    total = np.zeros((len(lines[0][0]), len(grid)))
    for path, sigma, coordinate in lines:
        inside = (times >= low) & (times <= high) & np.isfinite(sigma)
        at, weight = times[inside], 1 / sigma[inside]
        if len(at) < 8 or np.diff([low, *at, high]).max() > 0.1 * stride_s + step:
            return np.full(len(total), np.nan)
        since = at[None] - grid[:, None]
        stance, swing = (since, -since) if landing else (-since, since)
        stance, swing = np.maximum(stance, 0), np.maximum(swing, 0)
        parts = (np.ones_like(since), swing, swing**2, *([stance] if coordinate == 0 else []))
        basis = np.linalg.qr(np.stack(parts, axis=-1) * weight[:, None])[0]
        scaled = path[:, inside, coordinate] * weight
        fitted = scaled @ basis.transpose(1, 0, 2).reshape(len(at), -1)
        fitted = (fitted**2).reshape(len(total), len(grid), -1).sum(axis=-1)
        total += (scaled**2).sum(axis=1)[:, None] - fitted
    return _lowest(grid, total)


def _lowest(grid: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Place of the lowest value of each row, between the cells; NaN at an end."""
    best = total.argmin(axis=1)
    inner = best.clip(1, len(grid) - 2)
    rows = np.arange(len(total))
    before, at, after = (total[rows, inner + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1), 0)
    place = grid[inner] + shift.clip(-1, 1) * (grid[1] - grid[0])
    return np.where(best == inner, place, np.nan)


def _stance_line(
    times: np.ndarray, path: np.ndarray, sigma: np.ndarray, on_s: np.ndarray, off_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Speed of the trunk over the hoof and the hoof's height, over the middle of each stance."""
    speed, up = np.full(on_s.shape, np.nan), np.full(on_s.shape[1], np.nan)
    for index, (start, end) in enumerate(zip(on_s[0], off_s[0], strict=True)):
        if not np.isfinite(start + end):
            continue
        span = 0.15 * (end - start)
        inside = (times > start + span) & (times < end - 1.5 * span) & np.isfinite(sigma)
        if inside.sum() < MIN_SIDE_FRAMES:
            continue
        weight = 1 / sigma[inside] ** 2
        since = times[inside] - np.average(times[inside], weights=weight)
        speed[:, index] = -(path[:, inside, 0] * since * weight).sum(axis=1)
        speed[:, index] /= (since**2 * weight).sum()
        up[index] = np.average(path[0, inside, 1], weights=weight)
    return speed, up
