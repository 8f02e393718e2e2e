"""The pinhole camera against angles computed another way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from projects.sample_horses.camera import Camera


def by_angles(position, target, focal_px, centre_px, point):
    """Project with trigonometry instead of matrices: turn, tilt, then divide by the distance."""
    bearing = math.atan2(target[1] - position[1], target[0] - position[0])
    level = math.hypot(target[0] - position[0], target[1] - position[1])
    tilt = math.atan2(target[2] - position[2], level)
    dx, dy, dz = (point[i] - position[i] for i in range(3))
    ahead = dx * math.cos(bearing) + dy * math.sin(bearing)
    to_left = -dx * math.sin(bearing) + dy * math.cos(bearing)
    depth = ahead * math.cos(tilt) + dz * math.sin(tilt)
    above = -ahead * math.sin(tilt) + dz * math.cos(tilt)
    x = centre_px[0] - focal_px * to_left / depth
    y = centre_px[1] - focal_px * above / depth
    return x, y, depth


@pytest.mark.parametrize("seed", range(8))
def test_projects_as_trigonometry_does(seed):
    rng = np.random.default_rng(seed)
    position = rng.uniform([-9, -9, 0.5], [-4, 9, 4])
    target = rng.uniform([-1, -1, 0.5], [1, 1, 1.5])
    focal_px, centre_px = rng.uniform(200, 900), tuple(rng.uniform(50, 250, 2))
    points = rng.uniform([-1, -1, 0], [1, 1, 2], (20, 3))
    camera = Camera.look_at(position, target, focal_px, centre_px)
    xy, depth = camera.project(points)
    expected = np.array([by_angles(position, target, focal_px, centre_px, p) for p in points])
    np.testing.assert_allclose(np.column_stack([xy, depth]), expected, atol=1e-9)


def test_target_is_at_the_centre_whatever_the_roll():
    camera = Camera.look_at(np.array([-5.0, 1, 2]), np.array([0.0, 0, 1]), 400, (100, 80), 0.3)
    xy, depth = camera.project(np.array([[0.0, 0, 1]]))
    np.testing.assert_allclose(xy[0], [100, 80], atol=1e-9)
    assert depth[0] == pytest.approx(math.sqrt(27))


def test_roll_turns_the_image_around_its_centre():
    position, target = np.array([-5.0, 0, 1]), np.array([0.0, 0, 1])
    left = np.array([[0.0, 1.0, 1.0]])
    upright, _ = Camera.look_at(position, target, 500, (0, 0)).project(left)
    rolled, _ = Camera.look_at(position, target, 500, (0, 0), np.pi / 2).project(left)
    np.testing.assert_allclose(upright[0], [-100, 0], atol=1e-9)
    np.testing.assert_allclose(np.abs(rolled[0]), [0, 100], atol=1e-9)


def test_rays_pass_through_the_pixels_they_belong_to():
    camera = Camera.look_at(np.array([-5.0, 1, 2]), np.array([0.0, 0, 1]), 90, (30, 20), 0.1)
    rays = camera.rays(64, 48)
    points = camera.position + 3.0 * rays.reshape(-1, 3)
    xy, depth = camera.project(points)
    columns, rows = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    np.testing.assert_allclose(xy, np.stack([columns.ravel(), rows.ravel()], 1), atol=1e-9)
    np.testing.assert_allclose(depth, 3.0)


def test_moved_shifts_every_point_alike():
    camera = Camera.look_at(np.array([-5.0, 1, 2]), np.array([0.0, 0, 1]), 90, (30, 20))
    points = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    np.testing.assert_allclose(
        camera.moved((7, -3)).project(points)[0] - camera.project(points)[0], [[7, -3]] * 5
    )


def test_refuses_a_vertical_view():
    with pytest.raises(ValueError, match="not vertical"):
        Camera.look_at(np.array([0.0, 0, 5]), np.zeros(3), 100, (0, 0))
