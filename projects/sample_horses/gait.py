"""Poses of standing, grazing, walking, trotting and cantering horses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from projects.sample_horses.anatomy import Pose
from projects.sample_horses.limbs import LEGS, LegPose


@dataclass(frozen=True)
class Gait:
    """One row a gait.

    Attributes:
        touch_down: when each hoof lands, as a fraction of the stride.
        duty: fraction of the stride that a hoof is on the ground.
        reach: half the way of a hoof along the trunk, m.
        lift: height of the swinging fetlock, m, fore and hind.
        carpus: largest flexion of the carpus, rad.
        drop: how far the trunk sinks below a stand, m.
        bounce: of the trunk, m, ``bounces`` times a stride.
        rock: pitch of the trunk, rad.
        neck: pitch of the neck at its base and end, and of the head, degrees.
        tail_lift: 0 hangs, 1 streams.
    """

    touch_down: dict[str, float]
    duty: float
    reach: float
    lift: tuple[float, float]
    carpus: float
    drop: float
    bounce: float
    bounces: int
    rock: float
    neck: tuple[float, float, float]
    tail_lift: float


GAITS: dict[str, Gait] = {
    "walk": Gait(
        {"lh": 0.0, "lf": 0.25, "rh": 0.5, "rf": 0.75},
        0.62, 0.27, (0.10, 0.08), 0.9, 0.02, 0.01, 2, 0.01, (22, 46, -48), 0.15,
    ),
    "trot": Gait(
        {"lh": 0.0, "rf": 0.0, "rh": 0.5, "lf": 0.5},
        0.44, 0.32, (0.20, 0.14), 1.35, 0.03, 0.035, 2, 0.0, (36, 62, -52), 0.35,
    ),
    "canter": Gait(
        {"rh": 0.0, "lh": 0.22, "rf": 0.22, "lf": 0.45},
        0.36, 0.38, (0.24, 0.18), 1.5, 0.04, 0.05, 1, 0.07, (30, 52, -44), 0.55,
    ),
    "tolt": Gait(
        {"lh": 0.0, "lf": 0.25, "rh": 0.5, "rf": 0.75},
        0.44, 0.30, (0.22, 0.12), 1.4, 0.03, 0.008, 2, 0.01, (40, 66, -50), 0.35,
    ),
    "pace": Gait(
        {"lh": 0.0, "lf": 0.0, "rh": 0.5, "rf": 0.5},
        0.42, 0.34, (0.18, 0.14), 1.3, 0.03, 0.02, 2, 0.0, (30, 54, -46), 0.35,
    ),
    "gallop": Gait(
        {"rh": 0.0, "lh": 0.12, "rf": 0.38, "lf": 0.52},
        0.27, 0.38, (0.26, 0.20), 1.5, 0.05, 0.05, 1, 0.05, (24, 44, -40), 0.6,
    ),
}  # fmt: skip
"""The sample data draws those of :data:`GAIT_WEIGHTS`; trials (``trials.py``) move in all."""

GAIT_WEIGHTS = {"stand": 0.26, "graze": 0.16, "walk": 0.24, "trot": 0.20, "canter": 0.14}


def random_pose(rng: np.random.Generator) -> tuple[str, Pose]:
    """A gait by its weight, at a random phase, with random carriage of head and tail."""
    name = str(rng.choice(list(GAIT_WEIGHTS), p=list(GAIT_WEIGHTS.values())))
    if name == "stand":
        return name, _standing(rng)
    if name == "graze":
        return name, _grazing(rng)
    mirrored = bool(rng.random() < 0.5)
    return name, moving_pose(name, float(rng.random()), rng, mirrored)


def moving_pose(
    name: str, phase: float, rng: np.random.Generator | None = None, mirrored: bool = False
) -> Pose:
    """The pose of a moving gait.

    Args:
        name: row of :data:`GAITS`.
        phase: 0..1 through the stride.
        rng: draws the carriage of head and tail; without it they are the gait's mean ones.
        mirrored: swap left and right (the other lead of a canter).

    Raises:
        ValueError: unknown gait.
    """
    if name not in GAITS:
        raise ValueError(f"expected one of {', '.join(GAITS)} as gait, got '{name}'; choose one")
    return pose_in(GAITS[name], phase, rng, mirrored)


def pose_in(
    gait: Gait, phase: float, rng: np.random.Generator | None = None, mirrored: bool = False
) -> Pose:
    """:func:`moving_pose` of a gait that need not be in the table."""
    legs = {}
    for leg in LEGS:
        source = {"l": "r", "r": "l"}[leg[0]] + leg[1] if mirrored else leg
        legs[leg] = _leg_at((phase - gait.touch_down[source]) % 1.0, gait, leg[1])
    wave = np.sin(2 * np.pi * (gait.bounces * phase + 0.6))
    rock = gait.rock * np.sin(2 * np.pi * phase)
    base, end, head = gait.neck
    draw = (lambda spread: rng.normal(0, spread)) if rng is not None else (lambda _: 0.0)
    nod = np.clip(draw(9), -16, 18)
    return Pose(
        legs=legs,
        trunk_pitch=rock,
        trunk_rise=-gait.drop + gait.bounce * (0.5 + 0.5 * wave),
        neck_base=np.deg2rad(base + 0.7 * nod),
        neck_end=np.deg2rad(end + 1.2 * nod),
        neck_yaw=np.deg2rad(np.clip(draw(12), -30, 30)),
        head_pitch=np.deg2rad(head + np.clip(draw(7), -15, 15)),
        head_yaw=np.deg2rad(np.clip(draw(5), -12, 12)),
        tail_lift=float(np.clip(gait.tail_lift + draw(0.15), 0.0, 0.9)),
        tail_swing=float(np.clip(draw(0.2), -0.5, 0.5)),
    )


def _leg_at(phase: float, gait: Gait, kind: str) -> LegPose:
    """Stance: the hoof stays on the ground and the trunk moves over it. Swing: lift and fold."""
    if phase < gait.duty:
        through = phase / gait.duty
        # The heel comes off in the last tenth of the stance.
        peel = np.clip((through - 0.88) / 0.12, 0, 1)
        return LegPose(
            reach=gait.reach * (1 - 2 * through) - 0.02,
            lift=0.03 * float(peel),
            swing=0.45 * float(peel),
        )
    through = (phase - gait.duty) / (1 - gait.duty)
    forward = through * through * (3 - 2 * through)
    fold = np.sin(np.pi * through**0.8)
    lift = gait.lift[0] if kind == "f" else gait.lift[1]
    return LegPose(
        reach=gait.reach * (2 * forward - 1) - 0.02,
        lift=0.03 * (1 - through) + lift * float(fold),
        carpus_flexion=gait.carpus * float(fold) if kind == "f" else 0.0,
        swing=float(np.clip(0.45 * (1 - through) + 0.75 * fold, 0, 1)),
    )


def _standing(rng: np.random.Generator) -> Pose:
    legs = {leg: LegPose(reach=float(rng.normal(0, 0.05))) for leg in LEGS}
    if rng.random() < 0.3:  # a resting hind leg: hock dropped, hoof on its toe
        leg = str(rng.choice(["lh", "rh"]))
        legs[leg] = LegPose(reach=0.10, lift=0.035, swing=0.42)
    raised = rng.uniform(-14, 12)
    return Pose(
        legs=legs,
        neck_base=np.deg2rad(34 + 0.7 * raised),
        neck_end=np.deg2rad(60 + 1.3 * raised),
        neck_yaw=np.deg2rad(np.clip(rng.normal(0, 24), -65, 65)),
        head_pitch=np.deg2rad(-50 + rng.normal(0, 8)),
        head_yaw=np.deg2rad(np.clip(rng.normal(0, 8), -20, 20)),
        tail_lift=float(rng.uniform(0, 0.25)),
        tail_swing=float(rng.normal(0, 0.12)),
    )


def _grazing(rng: np.random.Generator) -> Pose:
    stride = float(rng.uniform(0.02, 0.22)) * (1 if rng.random() < 0.5 else -1)
    reaches = {"lf": stride, "rf": -stride, "lh": -0.4 * stride, "rh": 0.4 * stride}
    lowered = rng.uniform(0, 8)
    return Pose(
        legs={leg: LegPose(reach=reaches[leg] + float(rng.normal(0, 0.03))) for leg in LEGS},
        trunk_pitch=np.deg2rad(-2.5),
        trunk_rise=-0.02,
        neck_base=np.deg2rad(-24 - lowered),
        neck_end=np.deg2rad(-68 - lowered),
        neck_yaw=np.deg2rad(np.clip(rng.normal(0, 14), -35, 35)),
        head_pitch=np.deg2rad(-74 + rng.normal(0, 5)),
        head_yaw=np.deg2rad(np.clip(rng.normal(0, 6), -15, 15)),
        tail_lift=float(rng.uniform(0, 0.2)),
        tail_swing=float(rng.normal(0, 0.2)),
    )
