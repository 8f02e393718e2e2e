"""Triangle meshes of tubes: what every drawn thing is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass
class Mesh:
    """Triangles with smooth normals and a colour per vertex.

    Attributes:
        vertices: (V, 3) metres.
        normals: (V, 3) unit length, pointing outwards.
        albedo: (V, 3) colour before light, BGR in 0..1.
        triangles: (T, 3) vertex indices, counter-clockwise seen from outside.
        two_sided: (T,) whether the back of the triangle is drawn too (hair, leaves).
        instance: (T,) id of the thing that the triangle belongs to.
    """

    vertices: Array
    normals: Array
    albedo: Array
    triangles: Array
    two_sided: Array
    instance: Array


@dataclass
class Surface:
    """One grid of vertices, (R, S, 3): rings along a part, points around each ring."""

    grid: Array
    closed: bool = True
    two_sided: bool = False

    def normals(self) -> Array:
        """Outward normals, (R, S, 3), from the directions along and around the part."""
        along = np.gradient(self.grid, axis=0)
        if self.closed:
            around = np.roll(self.grid, -1, axis=1) - np.roll(self.grid, 1, axis=1)
        else:
            around = np.gradient(self.grid, axis=1)
        # The end rings of a tube are shrunk to a point, where `around` vanishes.
        around[0], around[-1] = around[1], around[-2]
        normals = np.cross(along, around)
        return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)

    def triangles(self) -> Array:
        """(T, 3) indices into the flattened grid."""
        rings, points = self.grid.shape[:2]
        index = np.arange(rings * points).reshape(rings, points)
        if self.closed:
            index = np.concatenate([index, index[:, :1]], axis=1)
        a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
        c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
        return np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])


def tube(
    centres: Array, dorsal: Array, lateral: Array, half_sizes: Array, points: int = 18
) -> Surface:
    """Sweep a cross-section along a path.

    The point at angle ``a`` of a ring lies at ``cos(a)`` times its dorsal or ventral half depth
    and ``sin(a)`` times its half width; ``a`` runs from the dorsal side to the positive lateral
    side.

    Args:
        centres: (R, 3) of the rings.
        dorsal: (R, 3) unit vectors.
        lateral: (R, 3) unit vectors; (path direction) × lateral must point to the dorsal side.
        half_sizes: (R, 4): depth to the dorsal side, depth to the ventral side, half width, and
            how much narrower the dorsal half is than the ventral one (0 for an ellipse).
        points: per ring.
    """
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    depth = np.where(cosine > 0, half_sizes[:, :1], half_sizes[:, 1:2]) * cosine
    width = half_sizes[:, 2:3] * sine * (1 - half_sizes[:, 3:4] * cosine)
    grid = (
        centres[:, None] + depth[..., None] * dorsal[:, None] + width[..., None] * lateral[:, None]
    )
    # Close both ends: a ring shrunk to its centre.
    first, last = (np.repeat(centres[i][None, None], points, 1) for i in (0, -1))
    return Surface(np.concatenate([first, grid, last]))


def smooth(table: Array, samples: int) -> Array:
    """Catmull-Rom curve through the rows of ``table`` (N, D), sampled (samples, D).

    The curve is parametrised by the square root of the chord (centripetal), so that unevenly
    spaced rows make neither loops nor overshoots.
    """
    table = np.asarray(table, dtype=float)
    lead = min(table.shape[1], 3)
    knots = np.sqrt(np.linalg.norm(np.diff(table[:, :lead], axis=0), axis=1) + 1e-9)
    knots = np.concatenate([[0.0], np.cumsum(knots)])
    slopes = np.gradient(table, knots, axis=0)
    at = np.linspace(0, knots[-1], samples)
    segment = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    span = (knots[segment + 1] - knots[segment])[:, None]
    u = (at - knots[segment])[:, None] / span
    start, end = table[segment], table[segment + 1]
    return (
        (2 * u**3 - 3 * u**2 + 1) * start
        + (u**3 - 2 * u**2 + u) * span * slopes[segment]
        + (-2 * u**3 + 3 * u**2) * end
        + (u**3 - u**2) * span * slopes[segment + 1]
    )


def merge(parts: list[Mesh]) -> Mesh:
    """One mesh of many; triangle indices are shifted, instances kept."""
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts])
    return Mesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        normals=np.concatenate([part.normals for part in parts]),
        albedo=np.concatenate([part.albedo for part in parts]),
        triangles=np.concatenate(
            [part.triangles + offset for part, offset in zip(parts, offsets, strict=False)]
        ),
        two_sided=np.concatenate([part.two_sided for part in parts]),
        instance=np.concatenate([part.instance for part in parts]),
    )
