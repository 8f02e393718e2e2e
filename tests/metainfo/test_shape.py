from __future__ import annotations

import numpy as np

from equikpt.metainfo.shape import halves, mean_pose, points_of
from equikpt.metainfo.sides import flip_by_name
from tests.metainfo.stick_animals import NAMES, draw_poses

FLIP = np.array(flip_by_name(NAMES))


def test_the_mean_stands_as_the_animals_do_whichever_way_they_walk():
    mean = dict(zip(NAMES, mean_pose(draw_poses(), FLIP), strict=True))
    assert mean["withers"][1] < mean["l_elbow"][1] < mean["lf_hoof"][1]  # y points down
    ahead = np.sign(mean["nose"][0] - mean["croup"][0])
    assert ahead * (mean["lf_hoof"][0] - mean["lh_hoof"][0]) > 0.5


def test_what_heads_anywhere_is_drawn_upright():
    rng = np.random.default_rng(0)
    arrow = np.array([0, 1, 2, 3, 2.5 + 0.4j, 2.5 - 0.4j])
    turned = arrow * np.exp(2j * np.pi * rng.random((40, 1))) * 50
    poses = np.stack([turned.real, turned.imag, np.full(turned.shape, 2)], axis=-1)
    mean = mean_pose(poses, np.array([0, 1, 2, 3, 5, 4]))
    assert np.ptp(mean[:4, 0]) < 0.05 < np.ptp(mean[:4, 1])
    assert np.ptp(mean[4:, 1]) < 0.05 < np.ptp(mean[4:, 0])


def test_points_that_no_pose_has_are_nan():
    poses = draw_poses(10)
    poses[:, NAMES.index("nose")] = 0
    missing = np.isnan(mean_pose(poses, FLIP)).all(axis=1)
    assert [NAMES[index] for index in np.flatnonzero(missing)] == ["nose"]


def test_poses_are_thinned_evenly_and_those_without_a_size_left_out():
    poses = np.zeros((9, 2, 3))
    poses[::2, :, 2] = 2
    poses[::2, 1, 0] = np.arange(1, 6)
    points, labelled = points_of(poses, at_most=3)
    assert points.shape == (3, 2)
    assert labelled.all()
    np.testing.assert_allclose(np.abs(points), 1)


def test_few_points_have_no_halves():
    mean = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert halves(mean, [(0, 1), (1, 2)], np.arange(3), [[]] * 3) == ["", "", ""]


def test_without_a_word_of_a_head_the_higher_half_is_the_upper():
    mean = np.array([[0.1 * (n % 2), n] for n in range(8)])
    links = [(n, n + 1) for n in range(7)]
    assert halves(mean, links, np.arange(8), [[]] * 8) == ["upper"] * 4 + ["lower"] * 4
    tail_up = [["nose"] if n == 7 else [] for n in range(8)]
    assert halves(mean, links, np.arange(8), tail_up) == ["lower"] * 4 + ["upper"] * 4
