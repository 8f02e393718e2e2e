"""A keypoint set as an image: its mean pose with the names, sides and swaps of all points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from equikpt.metainfo.schema import SIDE_COLORS_RGB
from equikpt.metainfo.shape import mean_pose

POSE_PX = 620
ROW_PX = 20
LETTER_PX = 7.6
GAP_PX = 46
"""Between the pose and a column of names."""
TOP_PX = 64
BACKGROUND = "#202020"
FAINT = "#8a8a8a"
SWAP = "#ff5fd2"
FONT = "DejaVu Sans"
"""Comes with matplotlib and knows Latin, Greek and Cyrillic."""
DPI = 100


def draw_keypoint_set(metainfo: Mapping, poses: np.ndarray) -> np.ndarray:
    """Draw the mean pose of a keypoint set and name its points.

    Points of one side are named at the edge where most of them are, their partners opposite, and a
    dashed line joins what swaps under a flip, so that a wrong pair is seen at once.

    Args:
        metainfo: Of K keypoints, as :func:`equikpt.metainfo.read_keypoint_set` returns it.
        poses: (N, K, 3) x and y in px and COCO's visibility.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    rows = list(metainfo["keypoint_info"].values())
    names = [row["name"] for row in rows]
    flip = np.array([names.index(row["swap"] or row["name"]) for row in rows])
    poses = np.asarray(poses, float).reshape(-1, len(names), 3)
    mean = mean_pose(poses, flip)
    lines = _rows(rows, flip, mean)
    pairs = np.array([line for line in lines if None not in line], int).reshape(-1, 2)
    left, right = np.nan_to_num(mean[pairs, 0]).sum(axis=0)
    if left > right:  # seen from the front
        lines = [line[::-1] if None not in line else line for line in lines]
    shown = [
        name if np.isfinite(point).all() else f"{name} (no label)"
        for name, point in zip(names, mean, strict=True)
    ]
    margin = GAP_PX + 20 + LETTER_PX * max(map(len, shown))
    height = TOP_PX + 30 + max(420, ROW_PX * len(lines))
    width = POSE_PX + 2 * margin
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=BACKGROUND)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    coords_px = _coords_px(mean, margin, height)
    colours = [tuple(channel / 255 for channel in row["color"]) for row in rows]
    _draw_pose(axes, metainfo, names, coords_px, colours, flip)
    for number, line in enumerate(lines):
        y = TOP_PX + (number + 0.5) * (height - TOP_PX - 20) / len(lines)
        for column, index in enumerate(line):
            if index is not None:
                edge = margin - GAP_PX if column == 0 else width - margin + GAP_PX
                _name(axes, shown[index], colours[index], (edge, y), coords_px[index], column == 0)
    count = int((poses[..., 2] > 0).any(axis=1).sum())
    numbers = ((len(names), "keypoint"), (len(pairs), "pair"), (count, "pose"))
    counts = ", ".join(f"{number} {what}{'s' if number != 1 else ''}" for number, what in numbers)
    title = f"{metainfo['dataset_name']}: {counts}"
    _text(axes, 14, 20, title, "white", size=11)
    at = 14.0
    for text, colour in (
        *((side, tuple(c / 255 for c in rgb)) for side, rgb in SIDE_COLORS_RGB.items()),
        ("- - swap under a flip", SWAP),
    ):
        _text(axes, at, 42, text, colour)
        at += LETTER_PX * len(text) + 24
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., 2::-1])


def _rows(
    rows: Sequence[Mapping], flip: np.ndarray, mean: np.ndarray
) -> list[tuple[int | None, int | None]]:
    """Left and right name of each line, from the top of the pose down; pairs share a line."""
    order = np.nan_to_num(mean, nan=9.0)
    left_green = list(SIDE_COLORS_RGB["left"])
    lines: list[tuple[float, tuple[int | None, int | None]]] = []
    for index, partner in enumerate(flip):
        if index < partner:
            is_left = (
                list(rows[index]["color"]) == left_green
                or list(rows[partner]["color"]) != left_green
            )
            line = (index, int(partner)) if is_left else (int(partner), index)
            lines.append((float(order[[index, partner], 1].mean()), line))
        elif index == partner:
            at_left = order[index, 0] < 0
            lines.append((float(order[index, 1]), (index, None) if at_left else (None, index)))
    return [line for _, line in sorted(lines, key=lambda each: each[0])]


def _coords_px(mean: np.ndarray, margin: float, height: float) -> np.ndarray:
    """Points (K, 2) of the mean pose in px of the drawing."""
    known = np.isfinite(mean).all(axis=1)
    room = np.array([POSE_PX, height - TOP_PX - 50])
    corner = np.array([margin, TOP_PX + 10])
    if not known.any():
        return np.full(mean.shape, np.nan)
    low, high = mean[known].min(axis=0), mean[known].max(axis=0)
    scale = (room / np.maximum(high - low, 1e-6)).min() if (high > low).any() else 0
    return corner + room / 2 + (mean - (low + high) / 2) * scale


def _draw_pose(axes, metainfo, names, coords_px, colours, flip) -> None:
    for row in metainfo["skeleton_info"].values():
        ends = coords_px[[names.index(end) for end in row["link"]]]
        axes.plot(*ends.T, color=[c / 255 for c in row["color"]], linewidth=2, alpha=0.75)
    for index, partner in enumerate(flip):
        if index < partner:
            axes.plot(
                *coords_px[[index, partner]].T, color=SWAP, linestyle=(0, (4, 4)), linewidth=1.2
            )
    axes.scatter(*coords_px.T, s=52, c=colours, edgecolors="black", linewidths=1, zorder=3)


def _name(axes: Axes, name: str, colour, at, point, is_left: bool) -> None:
    """A name at the edge of its column, and a line to its point."""
    x, y = at
    if np.isfinite(point).all():
        bend = x + 18 if is_left else x - 18
        axes.plot(
            [x + (4 if is_left else -4), bend, point[0]],
            [y, y, point[1]],
            color=FAINT,
            linewidth=0.7,
            zorder=1,
        )
        _text(axes, x, y, name, colour, "right" if is_left else "left")
    else:
        _text(axes, x, y, name, FAINT, "right" if is_left else "left")


def _text(axes: Axes, x: float, y: float, text: str, colour, side: str = "left", size=9) -> None:
    axes.text(
        x, y, text, color=colour, ha=side, va="center", size=size, family=FONT, parse_math=False
    )
