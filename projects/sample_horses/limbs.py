"""The legs of a horse: bone lengths, and joints solved from where a fetlock is wanted.

Each leg bends in one upright plane, as a horse's legs nearly do. Angles of bones are measured from
straight down, positive when the lower end is in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

LEGS = ("lf", "rf", "lh", "rh")

FORE_BONES = (0.275, 0.435, 0.27)
"""Humerus, forearm, cannon, m."""
HIND_BONES = (0.31, 0.475, 0.365)
"""Femur, gaskin (tibia), cannon, m."""
PASTERN = 0.135
HOOF_HEIGHT = 0.10
PASTERN_ANGLE = np.deg2rad(38)
"""Angle of the pastern of a hoof that stands flat."""
FETLOCK_HEIGHT = PASTERN * np.cos(PASTERN_ANGLE) + HOOF_HEIGHT
FETLOCK_X = {"f": 0.50, "h": -0.69}
"""Positions in a square stand: cannons upright, the hind one under the point of the buttock."""
JOINT_Y = {"f": (0.165, 0.175, 0.15, 0.14, 0.135), "h": (0.12, 0.185, 0.155, 0.14, 0.14)}
"""Distance of each joint of a leg, top to coronet, from the midline, m."""
STIFLE_REST = np.deg2rad(116)
HOCK_REST = np.deg2rad(146)


@dataclass(frozen=True)
class LegPose:
    """Wanted position of a leg's fetlock, relative to a square stand.

    Attributes:
        reach: metres towards the head.
        lift: metres above a flat hoof's fetlock.
        carpus_flexion: radians; only forelegs have it.
        swing: 0 for a hoof flat on the ground, 1 for one that hangs from a folded pastern.
    """

    reach: float = 0.0
    lift: float = 0.0
    carpus_flexion: float = 0.0
    swing: float = 0.0


@dataclass(frozen=True)
class Leg:
    """A solved leg: joints (5, 3) from shoulder or hip to coronet, and the hoof's tilt (rad)."""

    joints: Array
    hoof_tilt: float


def solve_leg(name: str, wanted: LegPose, top: Array, stretch: float, girth: float) -> Leg:
    """All joints of a leg.

    Args:
        name: one of :data:`LEGS`.
        wanted: where the fetlock should be; a place out of reach is approached.
        top: (2,) x and z of the shoulder or hip joint, m.
        stretch: factor on the bones below elbow and stifle.
        girth: factor on how far the upper joints are from the midline.
    """
    kind = name[1]
    target = np.array([FETLOCK_X[kind] + wanted.reach, FETLOCK_HEIGHT + wanted.lift])
    if kind == "f":
        plane, cannon_angle = _solve_fore(top, target, stretch, wanted.carpus_flexion)
    else:
        plane, cannon_angle = _solve_hind(top, target, stretch)
    hanging = cannon_angle - np.deg2rad(28)
    pastern_angle = (1 - wanted.swing) * PASTERN_ANGLE + wanted.swing * hanging
    coronet = plane[-1] + PASTERN * _direction(pastern_angle)
    plane = np.concatenate([plane, coronet[None]])
    side = 1 if name[0] == "l" else -1
    y = side * np.asarray(JOINT_Y[kind]) * np.array([girth, girth, 1, 1, 1])
    joints = np.stack([plane[:, 0], y, plane[:, 1]], axis=1)
    return Leg(joints, float(pastern_angle - PASTERN_ANGLE))


def hoof_point(leg: Leg, forward: float, up: float) -> Array:
    """A point of the hoof, metres from its coronet in the tilted hoof's own directions."""
    cosine, sine = np.cos(leg.hoof_tilt), np.sin(leg.hoof_tilt)
    x, z = forward * cosine - up * sine, forward * sine + up * cosine
    return leg.joints[4] + np.array([x, 0.0, z])


def _direction(angle: float | Array) -> Array:
    """Unit vector (x, z) of a bone at ``angle`` from straight down."""
    return np.stack([np.sin(angle), -np.cos(angle)], axis=-1)


def _solve_fore(
    top: Array, target: Array, stretch: float, carpus_flexion: float
) -> tuple[Array, float]:
    """Two-bone solution: the elbow behind the line from shoulder to fetlock.

    Forearm and cannon are one rigid piece, bent at the carpus by ``carpus_flexion``: the cannon
    folds back, the carpus points forward.
    """
    humerus, forearm, cannon = FORE_BONES[0], FORE_BONES[1] * stretch, FORE_BONES[2] * stretch
    bent = forearm * _direction(0.0) + cannon * _direction(-carpus_flexion)
    lower = float(np.hypot(*bent))
    reach = target - top
    distance = float(np.clip(np.hypot(*reach), abs(lower - humerus) + 0.02, lower + humerus - 0.01))
    bearing = np.arctan2(reach[0], -reach[1])
    at_top = np.arccos(
        np.clip((humerus**2 + distance**2 - lower**2) / (2 * humerus * distance), -1, 1)
    )
    elbow = top + humerus * _direction(bearing - at_top)
    fetlock = top + distance * _direction(bearing)
    along = fetlock - elbow
    # The bent piece's own bearing, forearm straight down, is subtracted to turn it into place.
    forearm_angle = np.arctan2(along[0], -along[1]) - np.arctan2(bent[0], -bent[1])
    carpus = elbow + forearm * _direction(forearm_angle)
    return np.stack([top, elbow, carpus, fetlock]), float(forearm_angle - carpus_flexion)


def _solve_hind(top: Array, target: Array, stretch: float) -> tuple[Array, float]:
    """Stifle and hock open and close together (the reciprocal apparatus), so one angle decides."""
    femur, tibia, cannon = HIND_BONES[0], HIND_BONES[1] * stretch, HIND_BONES[2] * stretch
    flexion = np.deg2rad(np.linspace(-26, 75, 405))
    tibia_angle = -(np.pi - (STIFLE_REST - flexion))
    cannon_angle = tibia_angle + (np.pi - (HOCK_REST - 0.95 * flexion))
    stifle = np.broadcast_to(femur * _direction(0.0), (len(flexion), 2))
    hock = stifle + tibia * _direction(tibia_angle)
    fetlock = hock + cannon * _direction(cannon_angle)
    distances = np.hypot(*fetlock.T)
    # Distances fall as the joints close: interpolate the flexion that gives the wanted one.
    reach = target - top
    wanted = np.clip(np.hypot(*reach), distances[-1], distances[0])
    best = float(np.interp(wanted, distances[::-1], flexion[::-1]))
    tibia_rest = -(np.pi - (STIFLE_REST - best))
    cannon_rest = tibia_rest + (np.pi - (HOCK_REST - 0.95 * best))
    chain = np.cumsum(
        [femur * _direction(0.0), tibia * _direction(tibia_rest), cannon * _direction(cannon_rest)],
        axis=0,
    )
    turn = np.arctan2(reach[0], -reach[1]) - np.arctan2(chain[-1][0], -chain[-1][1])
    cosine, sine = np.cos(turn), np.sin(turn)
    turned = chain @ np.array([[cosine, sine], [-sine, cosine]])
    return np.concatenate([top[None], top + turned]), float(cannon_rest + turn)
