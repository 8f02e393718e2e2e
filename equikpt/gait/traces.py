"""Paths over a whole trial that its measures were read from: to look at beside the video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from equikpt.gait.angles import MAX_GAP, limb_angles, limb_roles
from equikpt.gait.events import Stances
from equikpt.gait.symmetry import PARTS, displacement
from equikpt.gait.trial import Trial


@dataclass(frozen=True, eq=False)
class Traces:
    """Keypoints, heights, angles and stances of a trial.

    Args:
        times_s: (T,) of the frames.
        roles: Of the K keypoints that were used.
        xy_px: (T, K, 2) as measured in each image, y down; NaN at gaps and outliers.
        forward: 1 for an animal that faces right in the image, -1 for one that faces left.
        heights: (T,) vertical displacement by part of the body, less its mean over a stride; NaN in
            long gaps.
        unit: Of the heights.
        angles: (T,) degrees by limb and joint, likewise; none in a view along the animal.
        stances: (N, 2) hoof-on and hoof-off by limb, s; NaN where one was not found. None in a view
            along the animal, which does not show them.
    """

    times_s: np.ndarray
    roles: tuple[str, ...]
    xy_px: np.ndarray
    forward: int
    heights: dict[str, np.ndarray]
    unit: str
    angles: dict[tuple[str, str], np.ndarray]
    stances: dict[str, np.ndarray]


def traces_of(trial: Trial, stances: Mapping[str, Stances], factor: float, unit: str) -> Traces:
    """Collect the paths of a trial.

    Args:
        trial: The trial.
        stances: By limb.
        factor: Of lengths in px, to ``unit``.
        unit: Of the heights.
    """
    heights = {}
    for name in PARTS:
        there, height = displacement(trial, name)
        if there:
            heights[name] = _without_gaps(trial, there, factor * height[0])
    angles, spans = {}, {}
    for limb in trial.limbs if trial.is_side_view else ():
        for joint, series in limb_angles(trial, limb).items():
            roles = limb_roles(limb, joint)
            angles[limb, joint] = _without_gaps(trial, roles, np.unwrap(series[0], period=360))
        spans[limb] = np.stack([stances[limb].on_s[0], stances[limb].off_s[0]], axis=1)
    return Traces(
        trial.times_s,
        trial.roles,
        np.stack([trial.in_image(role) for role in trial.roles], axis=1),
        trial.forward,
        heights,
        unit,
        angles,
        spans,
    )


def _without_gaps(trial: Trial, roles: list[str], series: np.ndarray) -> np.ndarray:
    """The series (T,), NaN in gaps of a point that are longer than angles are given over."""
    shown = np.array(series, float)
    for role in roles:
        known = trial.times_s[np.isfinite(trial.sigma(role))]
        place = np.searchsorted(known, trial.times_s)
        before, after = known[(place - 1).clip(0)], known[place.clip(max=len(known) - 1)]
        shown[(after - before > MAX_GAP * trial.stride_s) & ~np.isin(trial.times_s, known)] = np.nan
    return shown
