"""Fences, shrubs and tufts: what stands between the camera and a horse, or behind it."""

from __future__ import annotations

import numpy as np

from projects.sample_horses.mesh import Mesh, merge

Array = np.ndarray

NOT_A_HORSE = 0
"""Instance id of everything that is not labelled."""

FENCE_COLORS = ((0.62, 0.64, 0.65), (0.16, 0.24, 0.33), (0.28, 0.31, 0.34), (0.08, 0.09, 0.10))


def fence(rng: np.random.Generator, start: Array, direction: Array, length_m: float) -> Mesh:
    """Posts and rails along a line on the ground.

    Args:
        rng: draws height, rails and colour.
        start: (2,) m.
        direction: (2,) unit vector.
        length_m: of the whole line.
    """
    color = np.asarray(FENCE_COLORS[rng.integers(len(FENCE_COLORS))]) * rng.uniform(0.85, 1.15)
    height = rng.uniform(1.0, 1.45)
    spacing = rng.uniform(2.0, 3.2)
    rails = int(rng.integers(2, 4))
    thickness = rng.uniform(0.025, 0.045)
    along = np.arange(0, length_m + 1e-6, spacing)
    posts = _line(start, direction, along, height / 2 + 0.04)
    pieces = max(1, int(length_m / 0.5))
    steps = (np.arange(pieces) + 0.5) * length_m / pieces
    heights = height * (np.arange(rails) + 1) / rails - 0.10
    bars = np.concatenate([_line(start, direction, steps, z) for z in heights])
    post_half = np.array([0.055, 0.055, height / 2 + 0.04])
    # Rails come in pieces, so that one that runs past the camera is cut near it and not dropped.
    bar_half = np.array([length_m / pieces / 2, 0.02, thickness * 1.4])
    shades = rng.uniform(0.9, 1.1, (len(posts), 1))
    return merge(
        [
            _boxes(posts, post_half, direction, shades * color),
            _boxes(bars, bar_half, direction, np.tile(color, (len(bars), 1))),
        ]
    )


def _line(start: Array, direction: Array, along: Array, z: float) -> Array:
    """Points (N, 3) at distances ``along`` a line on the ground, lifted to ``z``."""
    flat = start + along[:, None] * direction
    return np.concatenate([flat, np.full((len(flat), 1), z)], axis=1)


def shrub(rng: np.random.Generator, place: Array, radius_m: float, height_m: float) -> Mesh:
    """Leaves around a low dome."""
    count = int(np.clip(500 * radius_m * height_m / 0.2, 200, 1100))
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    direction[:, 2] = np.abs(direction[:, 2])
    shell = rng.uniform(0.55, 1.0, count) ** 0.5 * rng.uniform(0.85, 1.1, count)
    centres = direction * shell[:, None] * [radius_m, radius_m, height_m]
    centres += [place[0], place[1], 0.03]
    size = rng.uniform(0.05, 0.10, count)
    tone = rng.uniform([0.04, 0.16, 0.08], [0.14, 0.34, 0.26])
    # Leaves inside the dome get less light.
    shade = (0.35 + 0.65 * shell) * rng.uniform(0.7, 1.3, count)
    return _leaves(rng, centres, size, direction, shade[:, None] * tone)


def tufts(rng: np.random.Generator, centre: Array, radius_m: float, count: int) -> Mesh:
    """Upright blades of grass around a place."""
    place = centre + radius_m * rng.uniform(-1, 1, (count, 2))
    height = rng.uniform(0.06, 0.20, count)
    lean = 0.35 * height[:, None] * rng.normal(size=(count, 2))
    side = rng.normal(size=(count, 2))
    side *= 0.010 / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    ground = np.zeros((count, 1))
    corners = np.stack(
        [
            np.concatenate([place - side, ground], 1),
            np.concatenate([place + side, ground], 1),
            np.concatenate([place + lean, height[:, None]], 1),
        ],
        axis=1,
    )
    tone = rng.uniform([0.06, 0.24, 0.14], [0.18, 0.42, 0.36])
    color = tone * rng.uniform(0.7, 1.3, (count, 1))
    up = np.tile([0.0, 0.0, 1.0], (count, 1))
    return _triangles(corners, up, color)


def _leaves(
    rng: np.random.Generator, centres: Array, size: Array, normals: Array, color: Array
) -> Mesh:
    corners = centres[:, None] + size[:, None, None] * rng.normal(size=(len(centres), 3, 3))
    corners[..., 2] = np.maximum(corners[..., 2], 0.0)
    return _triangles(corners, normals, color)


def _triangles(corners: Array, normals: Array, color: Array) -> Mesh:
    """Separate two-sided triangles, corners (N, 3, 3), one normal and colour each."""
    count = len(corners)
    return Mesh(
        vertices=corners.reshape(-1, 3),
        normals=np.repeat(normals, 3, axis=0),
        albedo=np.repeat(color, 3, axis=0),
        triangles=np.arange(3 * count).reshape(count, 3),
        two_sided=np.ones(count, bool),
        instance=np.full(count, NOT_A_HORSE, np.int32),
    )


def _boxes(centres: Array, half: Array, direction: Array, colors: Array) -> Mesh:
    """Equal boxes at (N, 3) whose first side runs along ``direction`` on the ground."""
    along = np.array([direction[0], direction[1], 0.0])
    axes = np.stack([along, np.cross([0.0, 0.0, 1.0], along), [0.0, 0.0, 1.0]])
    corners, normals = [], []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        u, v = half[first] * axes[first], half[second] * axes[second]
        for sign in (1, -1):
            middle = sign * half[axis] * axes[axis]
            a, b, c, d = middle - u - v, middle + u - v, middle + u + v, middle - u + v
            corners += [[a, b, c], [a, c, d]]
            normals += [sign * axes[axis]] * 2
    shape = np.asarray(corners)
    everywhere = (centres[:, None, None] + shape).reshape(-1, 3, 3)
    sides = np.tile(np.asarray(normals), (len(centres), 1))
    return _triangles(everywhere, sides, np.repeat(colors, len(shape), axis=0))
