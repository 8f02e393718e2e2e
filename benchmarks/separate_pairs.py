"""Peaks of left and right keypoints, chosen together.

Where a model cannot tell a left hoof from the right one, both maps have a peak on either leg, and
may well have the same one highest: both keypoints end up on one leg. A trained heatmap's height is
about the probability that the keypoint is there. If A is the highest peak of both maps, and L and R
are the next ones of the left and of the right keypoint, then left is elsewhere with the height of
L, right with that of R, and both are at A with what these leave of the heights at A.
Letters: K keypoints, W columns, H rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REACH_SIGMAS = 2.0
"""Distance up to which two peaks are one place, in sigmas of the targets."""


def separate_pairs(heatmaps: np.ndarray, swap: Sequence[int], reach: float) -> np.ndarray:
    """Read left and right keypoints off different peaks where that is likelier than off one.

    Pairs whose highest peaks are more than ``reach`` apart stay as they are. Of the others, the
    keypoint is moved to its next peak for which the product of both heights is larger, if that peak
    is at least as high as what is left for both in one place: half the sum of the two highest peaks
    less the two next ones. Nothing is to be tuned but ``reach``.

    Args:
        heatmaps: (K, H, W), about probabilities; not changed.
        swap: (K,) index of the other side's keypoint, its own for a point of the midline.
        reach: In cells.

    Returns:
        (K, H, W) in which the chosen peak is the highest (:func:`keep_peak`).

    Raises:
        ValueError: Not one map a keypoint.
    """
    if len(heatmaps) != len(swap):
        raise ValueError(
            f"expected a heatmap for each of {len(swap)} keypoints, got {len(heatmaps)}"
        )
    separated = heatmaps.copy()
    for pair in ((first, second) for first, second in enumerate(swap) if first < second):
        tops = [highest(heatmaps[index]) for index in pair]
        if np.linalg.norm(np.subtract(tops[0], tops[1])) > reach:
            continue
        height = [float(heatmaps[index][top]) for index, top in zip(pair, tops, strict=True)]
        others = [
            _next_peak(heatmaps[index], top, reach)
            for index, top in zip(pair, tops[::-1], strict=True)
        ]
        lower = [
            0.0 if other is None else float(heatmaps[index][other])
            for index, other in zip(pair, others, strict=True)
        ]
        moved = int(height[0] * lower[1] > lower[0] * height[1])
        chosen = others[moved]
        if chosen is not None and lower[moved] >= (sum(height) - sum(lower)) / 2 > 0:
            separated[pair[moved]] = keep_peak(heatmaps[pair[moved]], chosen)
    return separated


def highest(heatmap: np.ndarray) -> tuple[int, int]:
    """Row and column of the highest cell of a map (H, W)."""
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    return int(row), int(column)


def local_maxima(heatmap: np.ndarray) -> np.ndarray:
    """(P, 2) rows and columns of the cells above 0 of a map (H, W) that no neighbour is above."""
    padded = np.pad(heatmap, 1, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return np.argwhere((heatmap >= windows.max(axis=(2, 3))) & (heatmap > 0))


def keep_peak(heatmap: np.ndarray, chosen: tuple[int, int]) -> np.ndarray:
    """The map (H, W), with its lowest value in cells nearer to a higher peak than the chosen one.

    Args:
        heatmap: (H, W); not changed.
        chosen: Row and column of one of its :func:`local_maxima`.
    """
    cells = np.moveaxis(np.indices(heatmap.shape), 0, -1)
    own = np.linalg.norm(cells - chosen, axis=-1)
    kept = heatmap.copy()
    for peak in local_maxima(heatmap):
        if heatmap[tuple(peak)] > heatmap[chosen]:
            kept[np.linalg.norm(cells - peak, axis=-1) <= own] = heatmap.min()
    return kept


def _next_peak(heatmap: np.ndarray, taken: tuple[int, int], reach: float) -> tuple[int, int] | None:
    """The highest peak of a map that is farther than ``reach`` from a cell, if there is one."""
    peaks = local_maxima(heatmap)
    peaks = peaks[np.linalg.norm(peaks - taken, axis=1) > reach]
    if not len(peaks):
        return None
    row, column = max(peaks.tolist(), key=lambda cell: heatmap[tuple(cell)])
    return row, column
