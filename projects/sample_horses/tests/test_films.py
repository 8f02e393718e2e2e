"""Films show what their trials state; training images show one moving horse from its side."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from equikpt_runtime.clips import Clip
from projects.sample_horses.films import frames, side_view, write_film
from projects.sample_horses.render import VISIBLE, render
from projects.sample_horses.trials import NAMES, Motion, moving_trial

SMALL = dict(strides=1, length_px=150.0, size_px=(240, 160), fps=30.0)


@pytest.mark.parametrize("camera", ["follows", "pans", "hand-held"])
def test_frames_show_the_keypoints_of_the_trial(camera):
    trial = moving_trial(Motion(camera=camera, **SMALL), seed=1)
    for number, drawn in enumerate(islice(frames(trial, seed=2), 2)):
        (label,) = drawn.labels
        seen = label.keypoints[:, 2] == VISIBLE
        assert seen.sum() > 12
        np.testing.assert_allclose(
            label.keypoints[seen, :2], trial.xy_px[number][seen], atol=0.01
        )  # px


def test_frames_differ_in_grain_and_pose_alone():
    trial = moving_trial(Motion(**SMALL), seed=1)
    first, second = islice(frames(trial, seed=2), 2)
    sky = np.s_[:12, :]
    apart = np.abs(first.image[sky].astype(int) - second.image[sky])
    assert 0 < apart.mean() < 8  # gray values


def test_a_film_has_a_frame_a_time(tmp_path):
    trial = moving_trial(Motion(**SMALL), seed=1)
    write_film(tmp_path / "trot.avi", trial, seed=2)
    clip = Clip.open(tmp_path / "trot.avi")
    times_s = [frame.time_s for frame in clip.frames()]
    np.testing.assert_allclose(times_s, trial.times_s, atol=1e-6)
    assert clip.size_px == (240, 160)


@pytest.mark.parametrize(
    ("camera", "low", "high"),
    [("still", 300, 2000), ("follows", 0, 40), ("pans", 0, 40), ("hand-held", 0, 150)],
)
def test_a_camera_that_follows_keeps_the_horse(camera, low, high):
    trial = moving_trial(Motion(camera=camera, strides=4, length_px=500.0), seed=1)
    withers = trial.xy_px[:, NAMES.index("withers"), 0]
    assert low <= np.ptp(withers) <= high


def test_a_hand_moves_the_view_and_a_stand_does_not():
    def roll_and_pitch(camera):
        views = moving_trial(Motion(camera=camera, strides=3), seed=1).cameras
        return np.array([view.rotation[0, 2] for view in views])  # right vector's rise

    assert np.ptp(roll_and_pitch("pans")) < 1e-9
    assert 0.003 < roll_and_pitch("hand-held").std() < 0.02


def test_training_images_show_one_horse_from_either_side():
    ahead = []
    for seed in range(12):
        scene = side_view(np.random.default_rng(seed), 160, 120)
        assert len(scene.horses) == 1
        points = scene.camera.project(scene.horses[0].keypoints_world())[0]
        nose, tail = points[NAMES.index("nose")], points[NAMES.index("tail_base")]
        ahead.append(nose[0] - tail[0])
        assert abs(nose[0] - tail[0]) > 60  # px, of a width of 160
    assert {bool(each > 0) for each in ahead} == {True, False}
    assert render(scene, 160, 120).labels[0] is not None
