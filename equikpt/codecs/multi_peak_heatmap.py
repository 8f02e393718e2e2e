"""Heatmaps of whole images: one channel a keypoint type, a peak for each instance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from equikpt.codecs.fast_codecs import gaussian_heatmaps


class Peaks(NamedTuple):
    """Maxima of B × K heatmaps, at most n each, highest first; those of score 0 are none.

    Args:
        coords: (B, K, n, 2) x and y in cells, between cells where the heatmap says so.
        scores: (B, K, n) heights, above 0 for peaks.
    """

    coords: Tensor
    scores: Tensor


def find_peaks(
    heatmaps: Tensor, min_peak_distance: int = 2, score_threshold: float = 0.1, max_peaks: int = 30
) -> Peaks:
    """Find the cells that are the highest within ``min_peak_distance``, then refine between cells.

    Args:
        heatmaps: (B, K, H, W), in 0 to 1.
        min_peak_distance: Cells, in x and in y, within which only the highest one counts; of equal
            ones the first in reading order.
        score_threshold: Minimum height, above 0.
        max_peaks: n; fewer where the map has fewer cells.

    >>> heatmaps = torch.zeros(1, 1, 8, 8)
    >>> heatmaps[0, 0, 1, 2], heatmaps[0, 0, 6, 5] = 0.9, 0.6
    >>> coords, scores = find_peaks(heatmaps, max_peaks=2)
    >>> coords[0, 0].tolist(), [round(score, 2) for score in scores[0, 0].tolist()]
    ([[2.0, 1.0], [5.0, 6.0]], [0.9, 0.6])
    """
    highest = max_pool2d(heatmaps, 2 * min_peak_distance + 1, stride=1, padding=min_peak_distance)
    is_peak = (heatmaps == highest) & (heatmaps >= score_threshold)
    heights = torch.where(is_peak, heatmaps, heatmaps.new_zeros(())).flatten(2)
    # stable: equal heights stay in reading order, as of ONNX's TopK, which has no such sort
    order: Any
    if torch.compiler.is_exporting():
        order = heights.topk(min(max_peaks, heights.shape[-1]), dim=-1)
    else:
        order = torch.sort(heights, dim=-1, descending=True, stable=True)
    scores, cells = order.values[..., :max_peaks], order.indices[..., :max_peaks]
    width = heatmaps.shape[-1]
    cell = torch.stack([cells % width, cells.div(width, rounding_mode="floor")], dim=-1)
    # of equally high neighbours only the first one counts
    near = ((cell[..., :, None, :] - cell[..., None, :, :]).abs() <= min_peak_distance).all(-1)
    near &= (scores[..., :, None] > 0) & (scores[..., None, :] > 0)
    scores = scores.masked_fill(near.tril(-1).any(-1), 0)
    return Peaks(cell + _offset_within_cell(heatmaps, cell), scores)


def _offset_within_cell(heatmaps: Tensor, cell: Tensor) -> Tensor:
    """(B, K, n, 2) from the cell's centre to the top of a Gaussian through it and its neighbours.

    The logarithm of a Gaussian is a parabola: its vertex lies at (l − r) / (2 (l − 2 c + r)) from
    the middle one of three logarithms l, c and r. At most half a cell; at the border 0.
    """
    logarithm = pad(heatmaps.clamp_min(1e-6).log(), (1, 1, 1, 1), mode="replicate")
    flat, wide = logarithm.flatten(2), logarithm.shape[-1]
    centre = (cell[..., 1] + 1) * wide + cell[..., 0] + 1
    middle = flat.gather(-1, centre)
    offsets = []
    for axis, step in enumerate((1, wide)):
        before, after = flat.gather(-1, centre - step), flat.gather(-1, centre + step)
        bend = before - 2 * middle + after
        offset = torch.where(bend < 0, (before - after) / (2 * bend), torch.zeros_like(bend))
        position, last = cell[..., axis], heatmaps.shape[-1 - axis] - 1
        inside = (position > 0) & (position < last)
        offsets.append(torch.where(inside, offset.clamp(-0.5, 0.5), torch.zeros_like(offset)))
    return torch.stack(offsets, dim=-1)


@KEYPOINT_CODECS.register_module()
class MultiPeakHeatmap(BaseKeypointCodec):
    """Gaussians of any number of instances in one heatmap a keypoint type, and their peaks.

    Where Gaussians overlap, the higher one counts, so that every point keeps a peak of its own.
    Peaks are not grouped into instances. Cell i lies at px i · stride, as in ``SoftmaxHeatmap``.

    Args:
        input_size: Width and height of the model's input in px.
        heatmap_size: Width and height of the heatmap in cells.
        sigma: Of the Gaussian, in cells; ``sigma_px`` is the same in px of the input, in x and y.
        min_peak_distance: Cells within which only the highest peak counts.
        score_threshold: Minimum height of a peak, above 0 and up to 1.
        max_peaks: Maximum number of peaks a keypoint type; the highest ones stay.

    Raises:
        ValueError: An option out of its range.
    """

    label_mapping_table = dict(keypoint_weights="keypoint_weights")
    field_mapping_table = dict(heatmaps="heatmaps", heatmap_mask="heatmap_mask")

    def __init__(
        self,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: float = 1.5,
        min_peak_distance: int = 2,
        score_threshold: float = 0.1,
        max_peaks: int = 30,
    ) -> None:
        super().__init__()
        if min(*input_size, *heatmap_size) < 2 or not sigma > 0:
            raise ValueError(
                "expected sizes of at least 2 and sigma above 0, got "
                f"input_size={input_size}, heatmap_size={heatmap_size}, sigma={sigma}"
            )
        if min_peak_distance < 1 or max_peaks < 1 or not 0 < score_threshold <= 1:
            raise ValueError(
                "expected min_peak_distance and max_peaks of at least 1 and score_threshold above "
                f"0 and up to 1, got min_peak_distance={min_peak_distance}, max_peaks={max_peaks}, "
                f"score_threshold={score_threshold}"
            )
        self.input_size = tuple(input_size)
        self.heatmap_size = (heatmap_size[0], heatmap_size[1])
        self.sigma = sigma
        self.stride_px = np.array(input_size) / np.array(heatmap_size)
        self.sigma_px = tuple((sigma * self.stride_px).tolist())
        self.min_peak_distance = min_peak_distance
        self.score_threshold = score_threshold
        self.max_peaks = max_peaks

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Draw the targets of an image.

        Args:
            keypoints: (N, K, 2) of N instances, in px of the input.
            keypoints_visible: (N, K), 0 for points without a label.

        Returns:
            ``heatmaps`` (K, H, W) float32, and ``keypoint_weights`` (1, K), all 1: a channel
            without any point teaches that there is none.
        """
        last = np.array(self.input_size) - 1
        drawn = np.all((keypoints >= 0) & (keypoints <= last), axis=-1)
        if keypoints_visible is not None:
            drawn = drawn & (keypoints_visible > 0)
        types = keypoints.shape[1]
        merged = np.zeros((types, *self.heatmap_size[::-1]), np.float32)
        for centers, its_drawn in zip(keypoints / self.stride_px, drawn, strict=True):
            gaussians = gaussian_heatmaps(centers, its_drawn, self.heatmap_size, self.sigma)
            np.maximum(merged, gaussians, out=merged)
        return dict(heatmaps=merged, keypoint_weights=np.ones((1, types), np.float32))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the peaks of one image, as :meth:`batch_decode`: (n, K, 2) and (n, K)."""
        coords, scores = self.batch_decode(torch.from_numpy(np.ascontiguousarray(encoded))[None])
        return coords[0].numpy(), scores[0].numpy()

    def batch_decode(self, batch_encoded: Tensor) -> Peaks:
        """Find the peaks of a batch, on its device.

        Args:
            batch_encoded: (B, K, H, W) probabilities.

        Returns:
            ``coords`` (B, n, K, 2) in px of the input and ``scores`` (B, n, K), 0 where a type has
            fewer than n peaks. Row i holds the i-th highest peak of each type, not an instance.
        """
        cells, scores = find_peaks(
            batch_encoded, self.min_peak_distance, self.score_threshold, self.max_peaks
        )
        coords = cells * cells.new_tensor(self.stride_px)
        return Peaks(coords.transpose(1, 2), scores.transpose(1, 2))
