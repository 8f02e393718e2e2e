"""The z-buffer: who is in front, how far away, and no pixel twice or left out."""

from __future__ import annotations

import numpy as np
import pytest

from projects.sample_horses.raster import coverage, interpolate, rasterise

SIZE = (40, 60)


def wide_triangle(depth):
    return np.array([[-100.0, -100], [300, -100], [-100, 300]]), np.full(3, depth)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["near first", "far first"])
def test_nearer_triangle_wins_whatever_the_order(order):
    near, near_depth = wide_triangle(2.0)
    far, far_depth = wide_triangle(5.0)
    xy, depth = np.concatenate([near, far]), np.concatenate([near_depth, far_depth])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])[list(order)]
    triangle_at, nearness = rasterise(xy, depth, triangles, SIZE)
    assert (triangle_at == order.index(0)).all()
    np.testing.assert_allclose(nearness, 0.5, rtol=1e-5)


def test_crossing_triangles_are_split_where_they_cross():
    """Two planes that cross in the middle column: each wins on the side where it is nearer."""
    x = np.array([-60.0, 180.0, 60.0])
    y = np.array([-200.0, -200.0, 500.0])
    tilt = 0.5 + (x - 30) / 400
    xy = np.concatenate([np.stack([x, y], 1)] * 2)
    depth = 1 / np.concatenate([tilt, 1.0 - tilt])
    triangle_at, _ = rasterise(xy, depth, np.array([[0, 1, 2], [3, 4, 5]]), SIZE)
    assert (triangle_at[:, 31:] == 0).all()
    assert (triangle_at[:, :29] == 1).all()


def test_inverse_depth_follows_the_plane():
    """Compared with a ray cast through each pixel of a tilted triangle."""
    focal = 50.0
    corners = np.array([[-3.0, -2, 4], [3, -2, 7], [0, 4, 5]])
    xy = corners[:, :2] / corners[:, 2:] * focal + [30, 20]
    triangle_at, nearness = rasterise(xy, corners[:, 2], np.array([[0, 1, 2]]), SIZE)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    rows, columns = np.nonzero(triangle_at >= 0)
    assert len(rows) > 200
    rays = np.stack(
        [(columns + 0.5 - 30) / focal, (rows + 0.5 - 20) / focal, np.ones(len(rows))], 1
    )
    depth = (normal @ corners[0]) / (rays @ normal)
    np.testing.assert_allclose(1 / nearness[rows, columns], depth, rtol=1e-4)


def test_a_cut_square_has_no_gap_and_no_overlap():
    """Random points inside a square, joined to fans: every pixel of the square exactly once."""
    rng = np.random.default_rng(3)
    square = np.array([[10.0, 5], [50, 5], [50, 35], [10, 35]])
    for _ in range(20):
        centre = rng.uniform([12, 7], [48, 33])
        xy = np.concatenate([square, centre[None]])
        fans = np.array([[i, (i + 1) % 4, 4] for i in range(4)])
        total = sum(coverage(xy, np.ones(5), fan[None], SIZE).astype(int) for fan in fans)
        expected = np.zeros(SIZE, int)
        expected[5:35, 10:50] = 1
        np.testing.assert_array_equal(total, expected)


def test_what_reaches_behind_the_camera_is_not_drawn():
    xy, depth = wide_triangle(2.0)
    depth[1] = 0.0
    triangle_at, nearness = rasterise(xy, depth, np.array([[0, 1, 2]]), SIZE)
    assert (triangle_at == -1).all()
    assert (nearness == 0).all()


def test_interpolation_is_linear_on_the_screen():
    xy, depth = wide_triangle(2.0)
    triangles = np.array([[0, 1, 2]])
    triangle_at, _ = rasterise(xy, depth, triangles, SIZE)
    values = np.stack([0.01 * xy[:, 0] + 2, 0.03 * xy[:, 1] - 1], axis=1)
    drawn = interpolate(values, xy, triangles, triangle_at)
    columns, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
    np.testing.assert_allclose(drawn[..., 0], 0.01 * columns + 2, atol=1e-4)
    np.testing.assert_allclose(drawn[..., 1], 0.03 * rows - 1, atol=1e-4)
