"""The skeleton of a horse: build, pose, and where they put the 26 keypoints.

The horse's own frame: x towards the head, y to its left, z up, metres, the ground at z = 0. A
mean horse has a withers height of 1.6 m; ``Build.size`` scales everything.

Proportions are those of a riding horse: the trunk about as long as the withers are high, the chest
half as deep, the carpus at 0.31 and the hock at 0.37 of that height.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from projects.sample_horses.limbs import LEGS, Leg, LegPose, hoof_point, solve_leg

Array = np.ndarray

SHOULDER = np.array([0.69, 1.10])
HIP = np.array([-0.52, 1.26])
NECK_LENGTH = 0.74
NECK_BASE = np.array([0.665, 1.35])
HEAD_LENGTH = 0.62
TAIL_BASE = np.array([-0.745, 1.425])
TAIL_LENGTH = 0.95
TRUNK_CENTRE = np.array([0.0, 1.25])
REFERENCE_LIMB = 0.93
"""Length of a leg below the trunk, m: what ``Build.leg_length`` stretches."""


@dataclass(frozen=True)
class Build:
    """Proportions of one horse against the mean one; all but ``size`` are factors around 1."""

    size: float = 1.0
    leg_length: float = 1.0
    leg_thickness: float = 1.0
    girth: float = 1.0
    neck_length: float = 1.0
    neck_depth: float = 1.0
    head_size: float = 1.0
    tail_length: float = 1.0


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians, lengths in metres."""

    legs: dict[str, LegPose] = field(default_factory=lambda: {leg: LegPose() for leg in LEGS})
    trunk_pitch: float = 0.0
    trunk_rise: float = 0.0
    neck_base: float = np.deg2rad(36)
    neck_end: float = np.deg2rad(62)
    neck_yaw: float = 0.0
    head_pitch: float = np.deg2rad(-52)
    head_yaw: float = 0.0
    tail_lift: float = 0.15
    tail_swing: float = 0.0


@dataclass(frozen=True)
class Skeleton:
    """All that the skin hangs on, in the horse's frame.

    Attributes:
        build: the proportions it was made with.
        legs: by name.
        neck: (N, 3) centre line from the trunk to the poll, with tangents and laterals below.
        head: rows are the head's axis (poll to muzzle), dorsal and lateral unit vectors.
        tail: (M, 3) centre line.
    """

    build: Build
    pose: Pose
    legs: dict[str, Leg]
    neck: Array
    neck_tangent: Array
    neck_lateral: Array
    poll: Array
    head: Array
    tail: Array

    def trunk_point(self, points: Array) -> Array:
        """Points (N, 3) of the trunk at rest, moved with the trunk."""
        return move_trunk(points, self.pose, self.build)

    def head_point(self, along: float, dorsal: float, lateral: float) -> Array:
        """A point of the head: fraction of its length, then metres at mean size, (3,)."""
        scale = self.build.head_size
        offsets = np.array([along * HEAD_LENGTH, dorsal, lateral]) * scale
        return self.poll + offsets @ self.head


def pose_skeleton(build: Build, pose: Pose) -> Skeleton:
    """Solve all joints. The result is at mean size: ``Build.size`` is applied by the scene."""
    neck, tangent, lateral = _neck(build, pose)
    return Skeleton(
        build=build,
        pose=pose,
        legs={name: _leg(name, build, pose) for name in LEGS},
        neck=neck,
        neck_tangent=tangent,
        neck_lateral=lateral,
        poll=neck[-1] + 0.015 * tangent[-1],
        head=_head_axes(pose, lateral[-1]),
        tail=_tail(build, pose),
    )


def keep_muzzle_above_ground(build: Build, pose: Pose, clearance_m: float = 0.05) -> Pose:
    """Raise a lowered neck until the muzzle of this build clears the ground."""
    for _ in range(30):
        muzzle = pose_skeleton(build, pose).head_point(1.0, 0.0, 0.0)
        if muzzle[2] >= clearance_m:
            break
        pose = replace(
            pose, neck_base=pose.neck_base + np.deg2rad(1.5), neck_end=pose.neck_end + 0.03
        )
    return pose


def keypoints(skeleton: Skeleton) -> dict[str, Array]:
    """The 26 keypoints by name, (3,) each, in the horse's frame.

    Each is a joint centre or lies a little under the skin, so that it always falls on the drawn
    body. ``l_hip`` is the stifle and ``l_elbow`` the elbow, where the labelled images of other
    data sets have them; ``neck`` lies in the lower neck's middle, ``hoof`` in the hoof's.
    """
    ridge = skeleton.trunk_point(
        np.array([[0.40, 0.0, 1.565], [-0.10, 0.0, 1.475], [TAIL_BASE[0] - 0.01, 0.0, 1.405]])
    )
    points = {
        "nose": skeleton.head_point(0.94, 0.02, 0.0),
        "neck": skeleton.neck[int(0.35 * len(skeleton.neck))],
        "withers": ridge[0],
        "back": ridge[1],
        "tail_base": ridge[2],
        "tail_end": skeleton.tail[int(0.86 * len(skeleton.tail))],
    }
    for side, sign in (("l", 1), ("r", -1)):
        points[f"{side}_eye"] = skeleton.head_point(*EYE[:2], sign * EYE[2])
        points[f"{side}_ear"] = ear_point(skeleton, sign, 0.4)
        for joint, leg, index in (("elbow", "f", 1), ("knee", "f", 2), ("hip", "h", 1)):
            points[f"{side}_{joint}"] = skeleton.legs[side + leg].joints[index]
        points[f"{side}_hock"] = skeleton.legs[side + "h"].joints[2]
        for leg in "fh":
            points[f"{side}{leg}_fetlock"] = skeleton.legs[side + leg].joints[3]
            points[f"{side}{leg}_hoof"] = hoof_point(skeleton.legs[side + leg], 0.025, -0.055)
    return points


EYE = (0.28, 0.045, 0.082)
"""Along the head, and metres to the dorsal and to its own side."""
EAR_LENGTH = 0.17


def ear_point(skeleton: Skeleton, sign: int, fraction: float) -> Array:
    """A point on the axis of the left (1) or right (-1) ear, from base (0) to tip (1)."""
    base = skeleton.head_point(0.02, 0.07, sign * 0.052)
    axis = np.array([-0.75, 0.62, sign * 0.20]) @ skeleton.head
    length = EAR_LENGTH * skeleton.build.head_size
    return base + fraction * length * axis / np.linalg.norm(axis)


def move_trunk(points: Array, pose: Pose, build: Build) -> Array:
    """Pitch the trunk about its centre (head up is positive) and lift it."""
    points = np.asarray(points, dtype=float)
    cosine, sine = np.cos(pose.trunk_pitch), np.sin(pose.trunk_pitch)
    x, z = points[..., 0] - TRUNK_CENTRE[0], points[..., 2] - TRUNK_CENTRE[1]
    rise = pose.trunk_rise + REFERENCE_LIMB * (build.leg_length - 1)
    return np.stack(
        [
            TRUNK_CENTRE[0] + cosine * x - sine * z,
            points[..., 1],
            TRUNK_CENTRE[1] + sine * x + cosine * z + rise,
        ],
        axis=-1,
    )


def _leg(name: str, build: Build, pose: Pose) -> Leg:
    wanted = pose.legs[name]
    top = SHOULDER if name[1] == "f" else HIP
    # The shoulder blade glides over the ribs with the leg; the hip joint is fixed.
    glide = 0.22 * wanted.reach if name[1] == "f" else 0.0
    moved = move_trunk(np.array([top[0] + glide, 0.0, top[1]]), pose, build)
    return solve_leg(name, wanted, moved[[0, 2]], build.leg_length, build.girth)


def _neck(build: Build, pose: Pose, samples: int = 41) -> tuple[Array, Array, Array]:
    """Centre line, unit tangents and unit laterals of the neck, (N, 3) each."""
    fraction = np.linspace(0, 1, samples)
    pitch = pose.neck_base + (pose.neck_end - pose.neck_base) * fraction + pose.trunk_pitch
    # A neck turns little where it leaves the trunk.
    yaw = pose.neck_yaw * fraction**1.5
    tangent = np.stack(
        [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], axis=1
    )
    lateral = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros(samples)], axis=1)
    step = NECK_LENGTH * build.neck_length / (samples - 1)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(tangent[:-1] + tangent[1:], 0) / 2 * step])
    base = move_trunk(np.array([NECK_BASE[0], 0.0, NECK_BASE[1]]), pose, build)
    return base + path, tangent, lateral


def _head_axes(pose: Pose, neck_lateral: Array) -> Array:
    yaw = np.arctan2(-neck_lateral[0], neck_lateral[1]) + pose.head_yaw
    pitch = pose.head_pitch
    axis = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    lateral = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    return np.stack([axis, np.cross(axis, lateral), lateral])


def _tail(build: Build, pose: Pose, samples: int = 33) -> Array:
    """Out of the dock backwards, then falling; ``tail_lift`` 0 hangs, 1 streams."""
    fraction = np.linspace(0, 1, samples)
    # Angle from straight back (0) to straight down; a carried tail falls later.
    late = np.clip(fraction - 0.07, 0, 1)
    fall = np.deg2rad(86) * (1 - np.exp(-late * (11 - 9.5 * pose.tail_lift)))
    start = np.deg2rad(14) * (1 - 3.0 * pose.tail_lift)
    pitch = start * (1 - fraction) + fall
    sideways = pose.tail_swing * fraction
    tangent = np.stack(
        [-np.cos(pitch) * np.cos(sideways), np.sin(sideways), -np.sin(pitch) * np.cos(sideways)], 1
    )
    step = TAIL_LENGTH * build.tail_length / (samples - 1)
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(tangent[:-1] + tangent[1:], 0) / 2 * step])
    return move_trunk(np.array([TAIL_BASE[0], 0.0, TAIL_BASE[1]]), pose, build) + path
