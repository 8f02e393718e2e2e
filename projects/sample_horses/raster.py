"""A z-buffer in numpy: which triangle a pixel shows, and how far away it is."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def rasterise(
    xy_px: Array, depth_m: Array, triangles: Array, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Draw triangles with hidden surfaces removed.

    Every triangle becomes one span a row, every span its pixels; the pixels of all triangles then
    compete in one ``maximum.at`` over the inverse depth, which is linear on the screen.

    Args:
        xy_px: (V, 2) projected vertices.
        depth_m: (V,) depths of the vertices; a triangle with one at or below 0 is not drawn.
        triangles: (T, 3).
        size: (height, width) in pixels.

    Returns:
        The index of the triangle in each pixel (-1: none) and the inverse depth in 1/m (0: none),
        both (height, width).
    """
    height, width = size
    triangle_at = np.full(height * width, -1, np.int32)
    nearness_at = np.zeros(height * width, np.float32)
    pixel, owner, column, row = _fragments(xy_px, depth_m, triangles, size)
    if len(pixel):
        nearness = _nearness(xy_px, depth_m, triangles, owner, column, row)
        np.maximum.at(nearness_at, pixel, nearness)
        seen = nearness == nearness_at[pixel]
        triangle_at[pixel[seen]] = owner[seen]
    return triangle_at.reshape(size), nearness_at.reshape(size)


def coverage(xy_px: Array, depth_m: Array, triangles: Array, size: tuple[int, int]) -> Array:
    """Pixels under any of the triangles, (height, width) bool; no depth test (shadows)."""
    covered = np.zeros(size[0] * size[1], bool)
    covered[_fragments(xy_px, depth_m, triangles, size)[0]] = True
    return covered.reshape(size)


def _fragments(
    xy_px: Array, depth_m: Array, triangles: Array, size: tuple[int, int]
) -> tuple[Array, Array, Array, Array]:
    """Flat pixel index, triangle, column and row of every pixel centre inside a triangle."""
    height, width = size
    x, y = (xy_px[triangles, axis].astype(np.float32) for axis in (0, 1))
    top = np.clip(np.ceil(y.min(1) - 0.5), 0, height).astype(np.int32)
    bottom = np.clip(np.ceil(y.max(1) - 0.5), 0, height).astype(np.int32)
    inside = (depth_m[triangles].min(1) > 0) & (x.max(1) > 0) & (x.min(1) < width)
    rows = np.where(inside, bottom - top, 0)
    owner, step = _expand(rows)
    row = top[owner] + step
    y_centre = row + np.float32(0.5)
    left = np.full(len(owner), np.inf, np.float32)
    right = np.full(len(owner), -np.inf, np.float32)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        rise = y[:, end] - y[:, start]
        slope = np.divide(x[:, end] - x[:, start], rise, where=rise != 0, out=np.zeros_like(rise))
        low = np.minimum(y[:, start], y[:, end])[owner]
        high = np.maximum(y[:, start], y[:, end])[owner]
        crossing = x[:, start][owner] + (y_centre - y[:, start][owner]) * slope[owner]
        crosses = (low <= y_centre) & (y_centre < high)
        np.minimum(left, crossing, out=left, where=crosses)
        np.maximum(right, crossing, out=right, where=crosses)
    crossed = left <= right
    first = np.clip(np.ceil(np.where(crossed, left, 0) - 0.5), 0, width).astype(np.int32)
    last = np.clip(np.ceil(np.where(crossed, right, 0) - 0.5), 0, width).astype(np.int32)
    span, offset = _expand(last - first)
    column = first[span] + offset
    row = row[span]
    return row * width + column, owner[span], column, row


def _expand(counts: Array) -> tuple[Array, Array]:
    """For counts [2, 0, 1]: owners [0, 0, 2] and steps [0, 1, 0]."""
    counts = np.maximum(counts, 0)
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - starts[owner]


def _nearness(
    xy_px: Array, depth_m: Array, triangles: Array, owner: Array, column: Array, row: Array
) -> Array:
    """Inverse depth of each fragment, float32, from its triangle's plane."""
    safe_depth = np.where(depth_m > 0, depth_m, 1.0)
    w = (1.0 / safe_depth)[triangles]
    x, y = xy_px[triangles, 0], xy_px[triangles, 1]
    x1, x2, y1, y2 = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0], y[:, 1] - y[:, 0], y[:, 2] - y[:, 0]
    w1, w2 = w[:, 1] - w[:, 0], w[:, 2] - w[:, 0]
    twice_area = x1 * y2 - x2 * y1
    # A triangle seen edge on has no plane on the screen; its first vertex stands for it.
    flat = np.abs(twice_area) < 1e-4
    twice_area = np.where(flat, 1.0, twice_area)
    along_x = np.where(flat, 0.0, (w1 * y2 - w2 * y1) / twice_area)
    along_y = np.where(flat, 0.0, (w2 * x1 - w1 * x2) / twice_area)
    base = w[:, 0] + along_x * (0.5 - x[:, 0]) + along_y * (0.5 - y[:, 0])
    plane = np.stack([base, along_x, along_y], 1)[owner]
    return (plane[:, 0] + plane[:, 1] * column + plane[:, 2] * row).astype(np.float32)


def interpolate(values: Array, xy_px: Array, triangles: Array, triangle_at: Array) -> Array:
    """Values of the vertices (V, C) at the drawn pixels, (H, W, C) float32; 0 where none is."""
    rows, columns = np.nonzero(triangle_at >= 0)
    corners = triangles[triangle_at[rows, columns]]
    points = xy_px.astype(np.float32)[corners]
    centre = np.stack([columns, rows], 1).astype(np.float32) + np.float32(0.5)
    a, b, c = points[:, 0], points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    p = centre - a
    twice_area = b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]
    twice_area = np.where(np.abs(twice_area) < 1e-4, np.float32(1e9), twice_area)
    v = np.clip((p[:, 0] * c[:, 1] - p[:, 1] * c[:, 0]) / twice_area, 0, 1)[:, None]
    w = np.clip((b[:, 0] * p[:, 1] - b[:, 1] * p[:, 0]) / twice_area, 0, 1)[:, None]
    values = values.astype(np.float32)
    out = np.zeros((*triangle_at.shape, values.shape[1]), np.float32)
    out[rows, columns] = (
        values[corners[:, 0]] * (1 - v - w) + values[corners[:, 1]] * v + values[corners[:, 2]] * w
    )
    return out
