"""Graph of heatmaps of whole images, in which every peak is a point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from equikpt.core.pipelines import fill_codec
from equikpt.export.graphs.base import Arrays, Graph, to_crop

RESIZES = ("WholeImageResize", "BottomupResize")
"""Transforms that fit a whole image into the input."""


class PeaksGraph(Graph):
    """Peaks of whole images that are fitted into crops (N, H, W, 3).

    Raises:
        ValueError: A test pipeline that does more than fit and pad, or as of any graph.
    """

    task = "peaks"

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (N, K, M, 2) px of the crop and ``scores`` (N, K, M), highest first.

        Where a type has fewer than M peaks, they are NaN and score 0.
        """
        feats, novelty = self.features(image)
        head = self.model.head
        maps = self.averaged(head(feats).sigmoid())
        peaks = head.decoder.batch_decode(maps)  # (N, M, K, …)
        coords, scores = peaks.coords.transpose(1, 2), peaks.scores.transpose(1, 2)
        scores = scores * self.trained[:, None]
        there = (scores > 0)[..., None]
        nothing = torch.full_like(coords, torch.nan)
        return dict(keypoints=torch.where(there, coords, nothing), scores=scores) | novelty

    def geometry(self, cfg: Config, metainfo: Mapping[str, Any]) -> dict[str, Any]:
        """Whole images that are fitted into one size, and padded."""
        _check_fit(cfg)
        return dict(rule="fit")

    def expected(self, packed: dict[str, list]) -> Arrays:
        """The predictor's peaks by type."""
        (sample,) = self.model.test_step(packed)
        return _by_type(sample, len(self.flip_indices), self.model.head.decoder.max_peaks)


def _by_type(sample: Any, types: int, most: int) -> Arrays:
    """Read a prediction of single points as the outputs of the graph, in px of the crop."""
    found = sample.pred_instances
    coords = to_crop(found.keypoints, sample.metainfo)
    outputs = dict(
        keypoints=np.full((1, types, most, 2), np.nan), scores=np.zeros((1, types, most))
    )
    for label in range(types):
        of_type = np.asarray(found.labels) == label
        count = int(of_type.sum())
        outputs["keypoints"][0, label, :count] = coords[of_type, 0]
        outputs["scores"][0, label, :count] = np.asarray(found.keypoint_scores)[of_type, 0]
    if "novelty" in found:
        outputs["novelty"] = np.asarray(found.novelty)[:1]
    return outputs


def _check_fit(cfg: Config) -> None:
    dataset = cfg.test_dataloader.dataset
    steps = {step["type"]: step for step in fill_codec(dataset.pipeline, dataset.get("codec"))}
    resize = next((steps[name] for name in RESIZES if name in steps), None)
    plain = dict(resize_mode="fit", aug_scales=None, use_udp=False, pad_val=(0, 0, 0))
    if resize is None or any(
        (tuple(value) if isinstance(value := resize.get(name, default), list) else value) != default
        for name, default in plain.items()
    ):
        raise ValueError(
            f"expected a test pipeline with WholeImageResize and {plain}, got "
            f"{resize or ', '.join(steps)}"
        )
