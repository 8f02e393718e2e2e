"""Heatmaps of whole images: one channel a keypoint type, a peak for each instance."""

from __future__ import annotations

import numpy as np
import torch
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

from equikpt.codecs.gaussian_targets import heatmaps
from equikpt.codecs.peaks import Peaks, find_peaks


@KEYPOINT_CODECS.register_module()
class MultiPeakHeatmap(BaseKeypointCodec):
    """Gaussians of any number of instances in one heatmap a keypoint type, and their peaks.

    Where Gaussians overlap, the higher one counts, so that every point keeps a peak of its own.
    Peaks are not grouped into instances. Cell i lies at px i · stride, as in ``SoftmaxHeatmap``.

    Args:
        input_size: Width and height of the model's input in px.
        heatmap_size: Width and height of the heatmap in cells.
        sigma: Of the Gaussian, in cells; ``sigma_px`` is the same in px of the input. 1.5 cells of
            a heatmap of 64 × 64 for an input of 256 × 256 are 6 px.
        min_peak_distance: Cells within which only the highest peak counts.
        score_threshold: Least height of a peak, above 0 and up to 1.
        max_peaks: At most so many peaks a keypoint type, the highest ones.

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
        self.min_peak_distance = min_peak_distance
        self.score_threshold = score_threshold
        self.max_peaks = max_peaks
        self.stride_px = np.array(input_size) / np.array(heatmap_size)

    @property
    def sigma_px(self) -> tuple[float, float]:
        """Sigma in px of the input, in x and y."""
        across, down = self.sigma * self.stride_px
        return float(across), float(down)

    def encode(self, keypoints: np.ndarray, keypoints_visible: np.ndarray | None = None) -> dict:
        """Targets of an image.

        Args:
            keypoints: (N, K, 2) of N instances, in px of the input.
            keypoints_visible: (N, K), 0 for points without a label.

        Returns:
            ``heatmaps`` (K, H, W) float32, and ``keypoint_weights`` (1, K), all 1: a channel
            without any point teaches that there is none.
        """
        count, types = keypoints.shape[:2]
        if keypoints_visible is None:
            keypoints_visible = np.ones((count, types), np.float32)
        last = np.array(self.input_size) - 1
        drawn = (keypoints_visible > 0) & ((keypoints >= 0) & (keypoints <= last)).all(axis=-1)
        merged = np.zeros((types, *self.heatmap_size[::-1]), np.float32)
        for instance, labelled in zip(keypoints / self.stride_px, drawn, strict=True):
            if labelled.any():
                gaussians = heatmaps(
                    instance[labelled], labelled[labelled], self.heatmap_size, self.sigma
                )
                merged[labelled] = np.maximum(merged[labelled], gaussians)
        return dict(heatmaps=merged, keypoint_weights=np.ones((1, types), np.float32))

    def decode(self, encoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Peaks of one image, as :meth:`batch_decode`: (n, K, 2) and (n, K)."""
        places, scores = self.batch_decode(torch.from_numpy(np.ascontiguousarray(encoded))[None])
        return places[0].numpy(), scores[0].numpy()

    def batch_decode(self, batch_encoded: Tensor) -> Peaks:
        """Peaks of a batch, on its device.

        Args:
            batch_encoded: (B, K, H, W) probabilities.

        Returns:
            ``places`` (B, n, K, 2) in px of the input and ``scores`` (B, n, K), 0 where a type has
            fewer than n peaks. Row i holds the i-th highest peak of each type, not an instance.
        """
        cells, scores = find_peaks(
            batch_encoded, self.min_peak_distance, self.score_threshold, self.max_peaks
        )
        places = cells * cells.new_tensor(self.stride_px)
        return Peaks(places.transpose(1, 2), scores.transpose(1, 2))
