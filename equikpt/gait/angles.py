"""Joint angles over the stride, protraction and retraction, and the angle of head and neck.

All lie in the plane of the image. A view from the side shows them as they are; what a limb does to
the side foreshortens them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from equikpt.gait.events import Stances
from equikpt.gait.measures import Measure
from equikpt.gait.names import POLL, fetlock, hoof
from equikpt.gait.strides import MAX_DEVIATION, Stride
from equikpt.gait.trial import AXIAL_CUTOFF, LIMB_CUTOFF, Trial, at_times

PHASES = np.linspace(0, 1, 101)
"""Phases of a curve: a hundredth of the stride apart, from hoof-on to hoof-on of the limb."""
MAX_GAP = 0.15
"""Longest time without a point, in strides, that an angle is given over."""

NOT_COMPARED = ("hoof_on", "hoof_off", "phase")
"""Measures of a limb that have no difference between left and right."""


class Joint(NamedTuple):
    """A joint: the angle at its middle point.

    Args:
        name: Of the joint.
        upper: Role of the point above; of a limb with ``{side}`` or ``{limb}``.
        middle: Role of its own.
        lower: Role of the point below.
        behind: Whether the angle is the one on the back; else that on the front.
    """

    name: str
    upper: str
    middle: str
    lower: str
    behind: bool = False


JOINTS: dict[str, tuple[Joint, ...]] = {
    "f": (
        Joint("elbow", "withers", "{side}_elbow", "{side}_knee"),
        Joint("carpus", "{side}_elbow", "{side}_knee", "{limb}_fetlock", behind=True),
        Joint("fetlock", "{side}_knee", "{limb}_fetlock", "{limb}_hoof"),
    ),
    "h": (
        Joint("stifle", "tail_base", "{side}_hip", "{side}_hock", behind=True),
        Joint("hock", "{side}_hip", "{side}_hock", "{limb}_fetlock"),
        Joint("fetlock", "{side}_hock", "{limb}_fetlock", "{limb}_hoof"),
    ),
}
"""Joints of fore and hind limbs. ``elbow`` goes by the withers, which stand for the shoulder, and
``stifle`` by the tail base, which stands for the hip: proxies of the joints of these names."""
LIMB = "limb"
"""Name of the angle of a limb's line to the hoof with the vertical."""
LIMB_TOP = dict(f="{side}_elbow", h="{side}_hip")
"""Upper end of the line whose lower end is the hoof, for protraction and retraction."""


def angle_deg(
    upper: np.ndarray, middle: np.ndarray, lower: np.ndarray, *, behind: bool = False
) -> np.ndarray:
    """Angle at ``middle``, in front or behind, 0 to 360 degrees.

    Args:
        upper: (…, 2), x forward and y up, like the others.
        middle: (…, 2).
        lower: (…, 2).
        behind: On the back of the limb; else on its front.

    >>> bent_back = np.array([0.0, 1.0]), np.array([0.0, 0.0]), np.array([-1.0, 0.0])
    >>> float(angle_deg(*bent_back)), float(angle_deg(*bent_back, behind=True))
    (270.0, 90.0)
    """
    one, other = upper - middle, lower - middle
    cross = one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
    turn = np.rad2deg(np.arctan2(cross, (one * other).sum(axis=-1)))
    return np.mod(turn if behind else -turn, 360)


def limb_angles(trial: Trial, limb: str) -> dict[str, np.ndarray]:
    """Angles (R + 1, T) of a limb by joint, and of its line as :data:`LIMB`, degrees.

    The latter is 0 where the limb is upright and positive where the hoof is in front.
    """
    found = {}
    for joint in JOINTS[limb[1]]:
        roles = limb_roles(limb, joint.name)
        if trial.has(*roles):
            upper, middle, lower = (trial.smoothed(role, LIMB_CUTOFF) for role in roles)
            found[joint.name] = angle_deg(upper, middle, lower, behind=joint.behind)
    top, end = limb_roles(limb, LIMB)
    if trial.has(top):
        along = trial.smoothed(end, LIMB_CUTOFF) - trial.smoothed(top, LIMB_CUTOFF)
        found[LIMB] = np.rad2deg(np.arctan2(along[..., 0], -along[..., 1]))
    return found


def limb_roles(limb: str, name: str) -> list[str]:
    """Roles of the points that an angle of a limb goes by, from the top.

    >>> limb_roles("lf", "carpus")
    ['l_elbow', 'l_knee', 'lf_fetlock']
    """
    rows: dict[str, tuple[str, ...]] = {joint.name: joint[1:4] for joint in JOINTS[limb[1]]}
    rows[LIMB] = (LIMB_TOP[limb[1]], "{limb}_hoof")
    return [role.format(side=limb[0], limb=limb) for role in rows[name]]


class Curves(NamedTuple):
    """An angle over N strides.

    Args:
        strides: (N,) their numbers.
        angles: (N, 101) at :data:`PHASES`, degrees.
    """

    strides: np.ndarray
    angles: np.ndarray


def limb_measures(
    trial: Trial, strides: list[Stride], limb: str, stances: Stances
) -> tuple[list[Measure], dict[str, Curves]]:
    """Extremes of the angles of a limb in each of its strides, and the curves by joint."""
    measures: list[Measure] = []
    curves: dict[str, list[tuple[int, np.ndarray]]] = {}
    needed = [hoof(limb), fetlock(limb)]
    for name, series in limb_angles(trial, limb).items():
        for stride in strides:
            place = stride.stances.get(limb)
            span = None if place is None else _own_stride(stances, place)
            if span is None or _has_gap(trial, needed, *span):
                continue
            if abs((span[1] - span[0]) / trial.stride_s - 1) > MAX_DEVIATION:
                continue
            curve = at_phases(trial.times_s, series, *span)
            measures += _extremes(stride.number, limb, name, curve)
            curves.setdefault(name, []).append((stride.number, curve[0]))
    found = {name: Curves(*map(np.array, zip(*rows, strict=True))) for name, rows in curves.items()}
    return measures, found


def _own_stride(stances: Stances, place: int) -> tuple[float, float] | None:
    if place + 1 >= stances.on_s.shape[1]:
        return None
    start, end = stances.on_s[0, place], stances.on_s[0, place + 1]
    return (float(start), float(end)) if np.isfinite(start + end) else None


def _has_gap(trial: Trial, roles: list[str], start_s: float, end_s: float) -> bool:
    longest = MAX_GAP * trial.stride_s
    return any(trial.gap(role, start_s, end_s) > longest for role in roles if trial.has(role))


def at_phases(times_s: np.ndarray, series: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Series (R + 1, T) at :data:`PHASES` of a span, (R + 1, 101)."""
    return at_times(times_s, series, start_s + PHASES * (end_s - start_s))


def _extremes(number: int, limb: str, name: str, curve: np.ndarray) -> Iterator[Measure]:
    low, high = curve.min(axis=1), curve.max(axis=1)
    if name == LIMB:
        yield Measure(number, limb, "protraction", "deg", high)
        yield Measure(number, limb, "retraction", "deg", -low)
        return
    yield Measure(number, limb, f"{name}_min", "deg", low)
    yield Measure(number, limb, f"{name}_max", "deg", high)
    yield Measure(number, limb, f"{name}_rom", "deg", high - low)


def head_neck_measures(trial: Trial, strides: list[Stride]) -> list[Measure]:
    """Mean and range of the angle of withers, poll and nose, below the neck."""
    if not (trial.has("withers", "nose") and any(trial.has(role) for role in POLL)):
        return []
    withers, nose = (trial.smoothed(role, AXIAL_CUTOFF) for role in ("withers", "nose"))
    series = angle_deg(withers, trial.mean_of(POLL, AXIAL_CUTOFF), nose, behind=True)
    found = []
    for stride in strides:
        curve = at_phases(trial.times_s, series, stride.start_s[0], stride.end_s[0])
        mean, extent = curve[:, :-1].mean(axis=1), np.ptp(curve, axis=1)
        found.append(Measure(stride.number, "head", "head_neck_mean", "deg", mean))
        found.append(Measure(stride.number, "head", "head_neck_rom", "deg", extent))
    return found


def differences(measures: list[Measure]) -> list[Measure]:
    """Left minus right of what both limbs of a pair have in the same stride."""
    by_key = {(each.stride, each.part, each.name): each for each in measures}
    found = []
    for each in measures:
        other = by_key.get((each.stride, f"r{each.part[1:]}", each.name))
        if each.part in ("lf", "lh") and other is not None and each.name not in NOT_COMPARED:
            pair = "fore l-r" if each.part == "lf" else "hind l-r"
            values = each.values - other.values
            found.append(Measure(each.stride, pair, each.name, each.unit, values))
    return found
