"""The skin of a horse: cross-sections along its skeleton, part by part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from projects.sample_horses.anatomy import EYE, Skeleton, ear_point
from projects.sample_horses.limbs import LEGS, hoof_point
from projects.sample_horses.mesh import Surface, smooth, tube
from projects.sample_horses.profile import FORELEG, HEAD, HINDLEG, NECK, TAIL, TRUNK

Array = np.ndarray


@dataclass(frozen=True)
class Part:
    """A named surface; ``along`` runs from 0 to 1 along it, one value a vertex."""

    name: str
    surface: Surface
    along: Array


def horse_parts(skeleton: Skeleton, mane: Array, mane_side: int) -> list[Part]:
    """All surfaces, in an order and with vertex counts that do not depend on the pose.

    Args:
        skeleton: solved joints.
        mane: (N,) lengths of the mane's locks along the crest, m.
        mane_side: 1 for a mane that falls to the left, -1 to the right.
    """
    parts = [_part("body", _body(skeleton)), _part("head", _head(skeleton))]
    for leg in LEGS:
        parts.append(_part(f"{leg}_leg", _leg(skeleton, leg)))
        parts.append(_part(f"{leg}_hoof", _hoof(skeleton, leg)))
    for side, sign in (("l", 1), ("r", -1)):
        parts.append(_part(f"{side}_shoulder", _shoulder(skeleton, sign)))
        parts.append(_part(f"{side}_ear", _ear(skeleton, sign)))
        parts.append(_part(f"{side}_eye", _ball(skeleton, (EYE[0], EYE[1], sign * EYE[2]), 0.024)))
        nostril = (0.935, 0.022, sign * 0.050)
        parts.append(_part(f"{side}_nostril", _ball(skeleton, nostril, 0.015)))
    parts.append(_part("tail", _tail(skeleton)))
    parts.append(_part("mane", _mane(skeleton, mane, mane_side)))
    parts.append(_part("forelock", _forelock(skeleton, mane_side)))
    return parts


def _part(name: str, surface: Surface) -> Part:
    rings, points = surface.grid.shape[:2]
    return Part(name, surface, np.repeat(np.linspace(0, 1, rings), points))


def _body(skeleton: Skeleton) -> Surface:
    """Trunk and neck in one tube, so that breast and withers run into the neck without a seam."""
    build = skeleton.build
    top = skeleton.trunk_point(np.stack([TRUNK[:, 0], 0 * TRUNK[:, 0], TRUNK[:, 1]], 1))
    bottom = skeleton.trunk_point(np.stack([TRUNK[:, 2], 0 * TRUNK[:, 0], TRUNK[:, 3]], 1))
    index = NECK[:, 0] * (len(skeleton.neck) - 1)
    at = index.round().astype(int)
    dorsal = np.cross(skeleton.neck_tangent, skeleton.neck_lateral)[at]
    # A deep neck is deep in its middle; both ends must still fit trunk and head.
    swell = 1 + (build.neck_depth - 1) * np.sin(np.pi * NECK[:, 0])
    neck_top = skeleton.neck[at] + (NECK[:, 1] * swell)[:, None] * dorsal
    neck_bottom = skeleton.neck[at] - (NECK[:, 2] * swell)[:, None] * dorsal
    lateral = np.concatenate([np.tile([0.0, 1.0, 0.0], (len(top), 1)), skeleton.neck_lateral[at]])
    width = np.concatenate([TRUNK[:, 4] * build.girth, NECK[:, 3] * swell])
    narrow = np.concatenate([TRUNK[:, 5], NECK[:, 4]])
    top, bottom = np.concatenate([top, neck_top]), np.concatenate([bottom, neck_bottom])
    centre, half = (top + bottom) / 2, (top - bottom) / 2
    rows = smooth(
        np.concatenate([centre, half, lateral, width[:, None], narrow[:, None]], axis=1), 96
    )
    depth = np.linalg.norm(rows[:, 3:6], axis=1)
    sizes = np.stack([depth, depth, rows[:, 9], rows[:, 10]], axis=1)
    return tube(rows[:, :3], rows[:, 3:6] / depth[:, None], _unit(rows[:, 6:9]), sizes, points=40)


def _head(skeleton: Skeleton) -> Surface:
    scale = skeleton.build.head_size
    rows = smooth(HEAD, 30)
    centres = np.stack([skeleton.head_point(t, 0.0, 0.0) for t in rows[:, 0]])
    sizes = rows[:, 1:5] * [scale, scale, scale, 1]
    _, dorsal, lateral = (np.tile(axis, (len(rows), 1)) for axis in skeleton.head)
    return tube(centres, dorsal, lateral, sizes, points=24)


def _leg(skeleton: Skeleton, name: str) -> Surface:
    table = FORELEG if name[1] == "f" else HINDLEG
    joints = skeleton.legs[name].joints
    bone = table[:, 0].astype(int)
    start, end = joints[bone], joints[bone + 1]
    direction = _unit((end - start) * [1, 0, 1])
    front = np.stack([-direction[:, 2], np.zeros(len(bone)), direction[:, 0]], axis=1)
    centres = start + table[:, 1:2] * (end - start) + table[:, 2:3] * front
    thick = skeleton.build.leg_thickness
    rows = smooth(np.concatenate([centres, front, table[:, 3:6] * thick], axis=1), 44)
    lateral = np.tile([0.0, 1.0, 0.0], (len(rows), 1))
    tangent = _unit(np.gradient(rows[:, :3], axis=0) * [1, 0, 1])
    across = np.cross(tangent, lateral)
    sizes = np.concatenate([rows[:, 6:9], np.zeros((len(rows), 1))], axis=1)
    return tube(rows[:, :3], across, lateral, sizes, points=14)


def _hoof(skeleton: Skeleton, name: str) -> Surface:
    leg, thick = skeleton.legs[name], skeleton.build.leg_thickness
    # Forward, up (from the coronet), half length, half width: coronet, wall, sole.
    rows = np.array(
        [
            [0.004, 0.008, 0.047, 0.048],
            [0.010, -0.020, 0.055, 0.053],
            [0.026, -0.070, 0.066, 0.060],
            [0.034, -0.099, 0.072, 0.064],
            [0.034, -0.100, 0.040, 0.036],
        ]
    )
    centres = np.stack([hoof_point(leg, forward, up) for forward, up in rows[:, :2]])
    cosine, sine = np.cos(leg.hoof_tilt), np.sin(leg.hoof_tilt)
    across = np.tile([cosine, 0.0, sine], (len(rows), 1))
    lateral = np.tile([0.0, 1.0, 0.0], (len(rows), 1))
    sizes = np.stack([rows[:, 2], rows[:, 2], rows[:, 3], 0 * rows[:, 3]], axis=1) * thick
    return tube(centres, across, lateral, sizes, points=14)


def _shoulder(skeleton: Skeleton, sign: int) -> Surface:
    """Shoulder blade, point of the shoulder and the upper arm's muscles over the ribs."""
    joints = skeleton.legs["lf" if sign > 0 else "rf"].joints
    blade = skeleton.trunk_point(np.array([0.40, sign * 0.10, 1.42]))
    girth = skeleton.build.girth
    inward = np.array([0.0, sign * 0.015 * girth, 0.0])
    centres = np.stack(
        [
            blade,
            0.6 * blade + 0.4 * joints[0] + [0.0, sign * 0.035 * girth, 0.0],
            0.15 * blade + 0.85 * joints[0] + [-0.06, 0, 0] - inward,
            0.45 * joints[0] + 0.55 * joints[1] + [-0.02, 0.0, 0.0] - inward,
            joints[1] + [0.0, -sign * 0.01, -0.03],
        ]
    )
    table = np.array(
        [
            [0.080, 0.080, 0.050],
            [0.115, 0.125, 0.072],
            [0.120, 0.150, 0.082],
            [0.115, 0.130, 0.078],
            [0.090, 0.090, 0.062],
        ]
    )
    rows = smooth(np.concatenate([centres, table], axis=1), 20)
    lateral = np.tile([0.0, 1.0, 0.0], (len(rows), 1))
    tangent = _unit(np.gradient(rows[:, :3], axis=0) * [1, 0, 1])
    sizes = np.concatenate([rows[:, 3:6], np.zeros((len(rows), 1))], axis=1)
    return tube(rows[:, :3], np.cross(tangent, lateral), lateral, sizes, points=18)


def _ear(skeleton: Skeleton, sign: int) -> Surface:
    fractions = np.array([-0.15, 0.0, 0.25, 0.55, 0.8, 1.0])
    widths = np.array([0.034, 0.040, 0.046, 0.038, 0.022, 0.004]) * skeleton.build.head_size
    centres = np.stack([ear_point(skeleton, sign, fraction) for fraction in fractions])
    axis = _unit(centres[-1:] - centres[:1])[0]
    lateral = _unit((skeleton.head[2] - axis * (axis @ skeleton.head[2]))[None])[0]
    dorsal = np.cross(axis, lateral)
    repeat = (len(fractions), 1)
    sizes = np.stack([0.5 * widths, 0.7 * widths, widths, 0 * widths], axis=1)
    return tube(centres, np.tile(dorsal, repeat), np.tile(lateral, repeat), sizes, points=10)


def _ball(skeleton: Skeleton, place: tuple[float, float, float], radius: float) -> Surface:
    axis, dorsal, lateral = skeleton.head
    radius *= skeleton.build.head_size
    along = np.array([-0.92, -0.6, 0.0, 0.6, 0.92])
    centres = skeleton.head_point(*place) + along[:, None] * radius * axis
    width = radius * np.sqrt(1 - along**2)
    sizes = np.stack([width, width, width, 0 * width], axis=1)
    repeat = (len(along), 1)
    return tube(centres, np.tile(dorsal, repeat), np.tile(lateral, repeat), sizes, points=8)


def _tail(skeleton: Skeleton) -> Surface:
    rows = smooth(TAIL, 26)
    path = skeleton.tail
    at = np.clip(rows[:, 0], 0, 1) * (len(path) - 1)
    centres = np.stack([np.interp(at, np.arange(len(path)), path[:, i]) for i in range(3)], axis=1)
    tangent = _unit(np.gradient(centres, axis=0))
    lateral = _unit(np.cross([0.0, 0.0, 1.0], tangent) + [0.0, 1e-6, 0.0])
    # The tail runs backwards: its own left is the horse's right, and stays so for a swung tail.
    sizes = np.stack([rows[:, 1], rows[:, 1], rows[:, 2], 0 * rows[:, 1]], axis=1)
    surface = tube(centres, np.cross(tangent, lateral), lateral, sizes, points=16)
    # Locks of unlike length: every line of vertices ends at a place of its own.
    lock = np.abs(np.sin(np.arange(16) * 2.4))
    pull = np.linspace(0, 1, len(surface.grid)) ** 3
    return Surface(surface.grid - 0.16 * (pull[:, None] * lock)[..., None] * tangent[-1])


def _mane(skeleton: Skeleton, locks: Array, side: int) -> Surface:
    """A ragged sheet that lies on one side of the neck, from the withers to the poll."""
    start, end = 3, len(skeleton.neck)
    at = np.linspace(start, end - 1, len(locks)).round().astype(int)
    fraction = at / (len(skeleton.neck) - 1)
    depth, width, narrow = (np.interp(fraction, NECK[:, 0], NECK[:, i]) for i in (1, 3, 4))
    swell = 1 + (skeleton.build.neck_depth - 1) * np.sin(np.pi * fraction)
    depth, width = depth * swell, width * swell
    lateral = skeleton.neck_lateral[at]
    dorsal = np.cross(skeleton.neck_tangent[at], lateral)
    rise = 0.030 * np.sin(np.pi * np.clip(fraction, 0.05, 1.0)) + 0.006
    rows = []
    for step in np.linspace(-0.4, 1.0, 9):
        angle = np.clip(step * locks / np.maximum((depth + width) / 2, 0.05), -0.5, 2.2)
        out = 1 + rise / np.maximum(depth, 0.05) * (1 - 0.5 * max(step, 0))
        up = depth * np.cos(angle) * out
        sideways = width * np.sin(angle) * (1 - narrow * np.cos(angle)) * out + 0.014 * step
        rows.append(skeleton.neck[at] + up[:, None] * dorsal + side * sideways[:, None] * lateral)
    grid = np.stack(rows, axis=1)
    # The sheet's outside must be the side away from the neck, whichever side it falls to.
    return Surface(grid if side > 0 else grid[:, ::-1], closed=False, two_sided=True)


def _forelock(skeleton: Skeleton, side: int) -> Surface:
    """A tuft between the ears that hangs over the forehead."""
    rows = np.array(
        [
            [-0.03, 0.100, 0.030, 0.020],
            [0.06, 0.112, 0.038, 0.020],
            [0.18, 0.108, 0.034, 0.016],
            [0.30, 0.100, 0.016, 0.008],
        ]
    )
    scale = skeleton.build.head_size
    centres = np.stack(
        [skeleton.head_point(t, height, side * 0.02 * t / 0.3) for t, height in rows[:, :2]]
    )
    _, dorsal, lateral = (np.tile(axis, (len(rows), 1)) for axis in skeleton.head)
    sizes = np.stack([rows[:, 3], rows[:, 3], rows[:, 2], 0 * rows[:, 2]], axis=1) * scale
    return tube(centres, dorsal, lateral, sizes, points=10)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
