"""Strides: from one hoof-on of a limb to its next, with the times of all limbs in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from equikpt.gait.classification import footfalls, gait_of
from equikpt.gait.events import Stances
from equikpt.gait.measures import Measure
from equikpt.gait.trial import Trial

MAX_DEVIATION = 0.25
"""Part of the usual duration by which a stride may differ from it."""
REFERENCE = ("lh", "rh", "lf", "rf")
"""Limbs whose hoof-on may begin a stride; the first one that is there."""


@dataclass(frozen=True, eq=False)
class Stride:
    """One stride.

    Args:
        number: From 0.
        start_s: (R + 1,) hoof-on that begins it.
        end_s: (R + 1,) hoof-on that ends it.
        stances: Index of each limb's stance in it; limbs without one are absent.
        phases: (R + 1,) hoof-on of each of them, as a fraction of the stride.
        gait: As :func:`~equikpt.gait.classification.gait_of` names it.
        footfalls: Order in which the hooves land.
    """

    number: int
    start_s: np.ndarray
    end_s: np.ndarray
    stances: dict[str, int]
    phases: dict[str, np.ndarray]
    gait: str
    footfalls: str

    @property
    def duration_s(self) -> np.ndarray:
        """(R + 1,)."""
        return self.end_s - self.start_s


def cut_strides(trial: Trial, stances: Mapping[str, Stances]) -> tuple[list[Stride], int]:
    """Cut a trial into strides.

    Returns:
        The strides, and the number of those left out for an unusual duration.
    """
    limb = next((name for name in REFERENCE if name in stances), None)
    if limb is None:
        return [], 0
    on_s = stances[limb].on_s
    on_s = on_s[:, np.isfinite(on_s[0])]
    found: list[Stride] = []
    left_out = 0
    for index in range(on_s.shape[1] - 1):
        start, end = on_s[:, index], on_s[:, index + 1]
        if abs((end - start)[0] / trial.stride_s - 1) > MAX_DEVIATION:
            left_out += 1
            continue
        inside = {
            name: _in_span(each, start[0], end[0], trial.stride_s) for name, each in stances.items()
        }
        own = {name: place for name, place in inside.items() if place is not None}
        phases = {
            name: (stances[name].on_s[:, place] - start) / (end - start)
            for name, place in own.items()
        }
        duties = [duty_of(stances[name], place)[0] for name, place in own.items()]
        duties = duties if trial.is_side_view else [np.nan]
        known = np.isfinite(duties)
        duty = float(np.mean(np.array(duties)[known])) if known.any() else np.nan
        first = {name: float(phase[0]) for name, phase in phases.items()}
        found.append(
            Stride(len(found), start, end, own, phases, gait_of(first, duty), footfalls(first))
        )
    return found, left_out


def _in_span(stances: Stances, start_s: float, end_s: float, stride_s: float) -> int | None:
    """The stance whose hoof-on lies in a stride, or a little before it."""
    early = 0.1 * stride_s
    inside = (stances.on_s[0] >= start_s - early) & (stances.on_s[0] < end_s - early)
    places = np.flatnonzero(inside)
    return int(places[0]) if len(places) == 1 else None


def duty_of(stances: Stances, place: int) -> np.ndarray:
    """Duty factor (R + 1,): the stance's part of the limb's own stride."""
    if place + 1 >= stances.on_s.shape[1]:
        return np.full(len(stances.on_s), np.nan)
    whole = stances.on_s[:, place + 1] - stances.on_s[:, place]
    return (stances.off_s[:, place] - stances.on_s[:, place]) / whole


def timing(trial: Trial, strides: list[Stride], stances: Mapping[str, Stances]) -> list[Measure]:
    """Durations, frequency, length and speed of each stride, and times of each limb.

    The stride length is the way of the trunk over the standing hooves in a stride; mean over the
    limbs, so that those near to the camera and far from it even out. A view along the animal shows
    durations alone.
    """
    return [each for stride in strides for each in _of_stride(trial, stride, stances)]


def _of_stride(trial: Trial, stride: Stride, stances: Mapping[str, Stances]) -> Iterator[Measure]:
    number, duration = stride.number, stride.duration_s
    yield Measure(number, "stride", "duration", "s", duration)
    yield Measure(number, "stride", "frequency", "1/s", 1 / duration)
    if not trial.is_side_view:
        return
    speeds = np.array([stances[name].speed[:, place] for name, place in stride.stances.items()])
    if len(speeds) and np.isfinite(speeds[:, 0]).any():
        speed = speeds[np.isfinite(speeds[:, 0])].mean(axis=0)
        yield Measure(number, "stride", "length", "px", speed * duration)
        yield Measure(number, "stride", "speed", "px/s", speed)
    for limb, place in stride.stances.items():
        own = stances[limb]
        on, off = own.on_s[:, place], own.off_s[:, place]
        yield Measure(number, limb, "hoof_on", "s", on)
        yield Measure(number, limb, "phase", "", stride.phases[limb])
        if not np.isfinite(off[0]):
            continue
        yield Measure(number, limb, "hoof_off", "s", off)
        yield Measure(number, limb, "stance", "s", off - on)
        if place + 1 < own.on_s.shape[1]:
            following = own.on_s[:, place + 1]
            if abs((following - on)[0] / trial.stride_s - 1) <= MAX_DEVIATION:
                yield Measure(number, limb, "swing", "s", following - off)
                yield Measure(number, limb, "duty_factor", "", duty_of(own, place))
