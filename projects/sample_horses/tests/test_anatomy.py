"""The skeleton moves like a horse's: rigid bones, joints that bend the right way, left is left."""

from __future__ import annotations

import numpy as np
import pytest

from equikpt.metainfo.horse26 import KEYPOINTS
from projects.sample_horses.anatomy import (
    Build,
    Pose,
    keep_muzzle_above_ground,
    keypoints,
    pose_skeleton,
)
from projects.sample_horses.coat import Coat
from projects.sample_horses.gait import GAIT_WEIGHTS, GAITS, moving_pose, random_pose
from projects.sample_horses.horse import Horse, random_horse
from projects.sample_horses.limbs import HOOF_HEIGHT, LEGS, hoof_point

NAMES = [point.name for point in KEYPOINTS]
RIGID = [
    (f"{side}_{start}" if "_" not in start else side + start, f"{side}{end}")
    for side in "lr"
    for start, end in (
        ("elbow", "_knee"),
        ("knee", "f_fetlock"),
        ("hip", "_hock"),
        ("hock", "h_fetlock"),
        ("eye", "_ear"),
    )
]
PHASES = np.linspace(0, 1, 25, endpoint=False)


def stride(gait, build=Build()):  # noqa: B008 - frozen
    return [pose_skeleton(build, moving_pose(gait, phase)) for phase in PHASES]


def side_of(joint, start, end):
    """Metres that a joint lies in front of the line between two others, in the leg's plane."""
    (x0, _, z0), (x1, _, z1) = start, end
    along = (joint[2] - z0) / (z1 - z0)
    return joint[0] - (x0 + along * (x1 - x0))


def test_every_keypoint_of_the_metainfo_has_a_place():
    assert set(keypoints(pose_skeleton(Build(), Pose()))) == set(NAMES)


def test_a_mean_horse_has_a_horses_proportions():
    points = keypoints(pose_skeleton(Build(), Pose()))
    assert points["withers"][2] == pytest.approx(1.57, abs=0.03)
    for name, share in (("l_elbow", 0.57), ("l_knee", 0.31), ("l_hip", 0.62), ("l_hock", 0.37)):
        assert points[name][2] / 1.6 == pytest.approx(share, abs=0.03), name
    assert points["nose"][0] > points["neck"][0] > points["withers"][0] > points["back"][0]
    assert points["back"][0] > points["tail_base"][0] > points["tail_end"][0]


@pytest.mark.parametrize("gait", GAITS)
def test_bones_keep_their_length(gait):
    build = Build(leg_length=1.04, head_size=0.95)
    lengths = []
    for skeleton in stride(gait, build):
        points = keypoints(skeleton)
        lengths.append([np.linalg.norm(points[a] - points[b]) for a, b in RIGID])
    np.testing.assert_allclose(np.ptp(lengths, axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("gait", GAITS)
def test_joints_bend_the_right_way(gait):
    for skeleton in stride(gait):
        for leg in LEGS:
            top, upper, middle, fetlock, _ = skeleton.legs[leg].joints
            if leg[1] == "f":  # carpus forward, elbow backward
                assert side_of(middle, upper, fetlock) > -1e-9
                assert side_of(upper, top, fetlock) < 0
            else:  # stifle forward, hock backward
                assert side_of(upper, top, middle) > 0.02
                assert side_of(middle, upper, fetlock) < -0.02


@pytest.mark.parametrize("gait", GAITS)
def test_hooves_neither_sink_nor_all_float(gait):
    for phase, skeleton in zip(PHASES, stride(gait), strict=True):
        soles = [hoof_point(skeleton.legs[leg], 0.03, -HOOF_HEIGHT)[2] for leg in LEGS]
        assert min(soles) > -0.03, phase
    landed = [
        min(hoof_point(s.legs[leg], 0.03, -HOOF_HEIGHT)[2] for leg in LEGS) for s in stride(gait)
    ]
    assert np.mean(np.array(landed) < 0.01) > 0.6


def test_the_carpus_folds_in_the_swing():
    """A control for the bend test: the foreleg does fold, it is not straight all the time."""
    bends = [side_of(*(s.legs["lf"].joints[i] for i in (2, 1, 3))) for s in stride("trot")]
    assert max(bends) > 0.08
    assert min(bends) < 0.02


@pytest.mark.parametrize("heading_deg", range(0, 360, 45))
def test_left_is_left_for_every_heading(heading_deg):
    horse = Horse(Build(), Pose(), Coat(), (2.0, -1.0), np.deg2rad(heading_deg))
    points = dict(zip(NAMES, horse.keypoints_world(), strict=True))
    axis = points["withers"] - points["tail_base"]
    left = np.cross([0.0, 0.0, 1.0], axis)
    assert axis @ horse.forward > 0
    for point in KEYPOINTS:
        if point.swap:
            towards = (points[point.name] - points[point.swap]) @ left
            assert (towards > 0) == point.name.startswith("l"), point.name
        else:
            assert abs((points[point.name] - points["withers"]) @ left) < 1e-9


@pytest.mark.parametrize("gait", GAITS)
def test_a_mirrored_pose_swaps_left_and_right(gait):
    for phase in (0.1, 0.6):
        plain = keypoints(pose_skeleton(Build(), moving_pose(gait, phase)))
        mirrored = keypoints(pose_skeleton(Build(), moving_pose(gait, phase, mirrored=True)))
        for point in KEYPOINTS:
            np.testing.assert_allclose(
                mirrored[point.swap or point.name], plain[point.name] * [1, -1, 1], atol=1e-9
            )


def test_random_horses_keep_their_muzzle_above_the_ground():
    rng = np.random.default_rng(0)
    lowest = []
    for _ in range(60):
        horse = random_horse(rng, (0, 0), 0)
        lowest.append(horse.skeleton.head_point(1.0, 0, 0)[2])
    assert min(lowest) >= 0.049
    assert min(lowest) < 0.35  # some do graze


def test_a_lowered_neck_is_raised_only_as_far_as_needed():
    low = Pose(neck_base=-1.4, neck_end=-1.5, head_pitch=-1.5)
    raised = keep_muzzle_above_ground(Build(), low)
    assert pose_skeleton(Build(), low).head_point(1, 0, 0)[2] < 0
    assert 0.05 <= pose_skeleton(Build(), raised).head_point(1, 0, 0)[2] < 0.10


def test_all_gaits_of_the_sample_data_are_drawn():
    rng = np.random.default_rng(1)
    assert {random_pose(rng)[0] for _ in range(100)} == {*GAIT_WEIGHTS}
    assert {*GAIT_WEIGHTS} - {"stand", "graze"} < {*GAITS}


def test_unknown_gait_is_named():
    with pytest.raises(ValueError, match="one of walk, trot, .* as gait, got 'amble'"):
        moving_pose("amble", 0.0)
