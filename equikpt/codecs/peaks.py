"""Maxima of heatmaps, all at once on the device where they are."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad


class Peaks(NamedTuple):
    """Maxima of B × K heatmaps, at most n each, highest first; those of score 0 are none.

    Args:
        places: (B, K, n, 2) x and y in cells, between cells where the heatmap says so.
        scores: (B, K, n) heights, above 0 for peaks.
    """

    places: Tensor
    scores: Tensor


def find_peaks(
    heatmaps: Tensor, min_peak_distance: int = 2, score_threshold: float = 0.1, max_peaks: int = 30
) -> Peaks:
    """The cells that are the highest within ``min_peak_distance`` cells, then between cells.

    Args:
        heatmaps: (B, K, H, W), in 0 to 1.
        min_peak_distance: Cells, in x and in y, within which only the highest one counts; of equal
            ones the first in reading order.
        score_threshold: Least height, above 0.
        max_peaks: n; fewer where the map has fewer cells.

    >>> heatmaps = torch.zeros(1, 1, 8, 8)
    >>> heatmaps[0, 0, 1, 2], heatmaps[0, 0, 6, 5] = 0.9, 0.6
    >>> places, scores = find_peaks(heatmaps, max_peaks=2)
    >>> places[0, 0].tolist(), [round(score, 2) for score in scores[0, 0].tolist()]
    ([[2.0, 1.0], [5.0, 6.0]], [0.9, 0.6])
    """
    width = heatmaps.shape[-1]
    window = 2 * min_peak_distance + 1
    highest = max_pool2d(heatmaps, window, stride=1, padding=min_peak_distance)
    is_peak = (heatmaps == highest) & (heatmaps >= score_threshold)
    heights = torch.where(is_peak, heatmaps, heatmaps.new_zeros(())).flatten(2)
    count = min(max_peaks, heights.shape[-1])
    # stable: equal heights stay in reading order
    order = torch.sort(heights, dim=-1, descending=True, stable=True)
    scores, cells = order.values[..., :count], order.indices[..., :count]
    column, row = cells % width, torch.div(cells, width, rounding_mode="floor")
    scores = _without_equal_neighbours(scores, column, row, min_peak_distance)
    offsets = _offset_within_cell(heatmaps, column, row)
    return Peaks(torch.stack([column, row], dim=-1) + offsets, scores)


def _without_equal_neighbours(scores: Tensor, column: Tensor, row: Tensor, distance: int) -> Tensor:
    """``scores`` (B, K, n) with 0 for a peak that is as high as an earlier one close by."""
    near = (column[..., :, None] - column[..., None, :]).abs() <= distance
    near &= (row[..., :, None] - row[..., None, :]).abs() <= distance
    near &= (scores[..., :, None] > 0) & (scores[..., None, :] > 0)
    earlier = torch.ones_like(near).tril(-1)
    return scores.masked_fill((near & earlier).any(-1), 0)


def _offset_within_cell(heatmaps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """(B, K, n, 2) from the cell's centre to the top of a Gaussian through it and its neighbours.

    The logarithm of a Gaussian is a parabola: its vertex lies at (l − r) / (2 (l − 2 c + r)) from
    the middle one of three logarithms l, c and r. At most half a cell; at the border 0.
    """
    logarithm = pad(heatmaps.clamp_min(1e-6).log(), (1, 1, 1, 1), mode="replicate")
    wide = logarithm.shape[-1]
    flat = logarithm.flatten(2)
    centre = (row + 1) * wide + column + 1
    middle = flat.gather(-1, centre)
    offsets = []
    for step, place, length in ((1, column, heatmaps.shape[-1]), (wide, row, heatmaps.shape[-2])):
        before, after = flat.gather(-1, centre - step), flat.gather(-1, centre + step)
        bend = before - 2 * middle + after
        offset = torch.where(bend < 0, (before - after) / (2 * bend), torch.zeros_like(bend))
        inside = (place > 0) & (place < length - 1)
        offsets.append(torch.where(inside, offset.clamp(-0.5, 0.5), torch.zeros_like(offset)))
    return torch.stack(offsets, dim=-1)
