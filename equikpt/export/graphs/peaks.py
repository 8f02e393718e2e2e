"""Graph of heatmaps of whole images, in which every peak is a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.models.utils.tta import flip_heatmaps
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.core.pipelines import fill_codec
from equikpt.export.graphs.base import Arrays, Graph, Novelty
from equikpt.metainfo.trained import trained_keypoints
from equikpt.models.pooled_features import pooled_features
from equikpt.structures.uncertainty import DEFAULT_LEVEL

RESIZES = ("WholeImageResize", "BottomupResize")
"""Transforms that fit a whole image into the input."""


class PeaksGraph(Graph):
    """Peaks of whole images that are fitted into crops (N, H, W, 3).

    Args:
        predictor: A model with a ``MultiPeakHead``.
        cfg: Its config.
        flip_test: Average with the mirrored crop; None as ``test_cfg`` says.
        level: Of the predictor, which has no radii.

    Raises:
        ValueError: A test pipeline that does more than fit and pad.
    """

    task = "peaks"

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(predictor)
        _check_fit(cfg)
        test_cfg, metainfo = self.model.test_cfg, predictor.metainfo
        self.flip_test = bool(test_cfg.get("flip_test", False) if flip_test is None else flip_test)
        self.flip = dict(
            flip_mode=test_cfg.get("flip_mode", "heatmap"),
            shift_heatmap=test_cfg.get("shift_heatmap", False),
        )
        self.flip_indices = [int(each) for each in metainfo["flip_indices"]]
        self.register_buffer("trained", torch.from_numpy(trained_keypoints(metainfo)))
        features = predictor.training_features
        self.novelty = None if features is None else Novelty(features)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (N, K, M, 2) px of the crop and ``scores`` (N, K, M), highest first.

        Where a type has fewer than M peaks, they are NaN and score 0.
        """
        inputs = self.normalise(image)
        if self.flip_test:
            inputs = torch.stack([inputs, inputs.flip(-1)], dim=1).flatten(0, 1)
        backbone = self.model.backbone(inputs)
        head = self.model.head
        maps = head(self.model.neck(backbone) if self.model.with_neck else backbone).sigmoid()
        if self.flip_test:
            plain, flipped = maps.unflatten(0, (-1, 2)).unbind(1)
            maps = (plain + flip_heatmaps(flipped, self.flip_indices, **self.flip)) / 2
        peaks = head.decoder.batch_decode(maps)  # (N, M, K, …)
        coords, scores = peaks.coords.transpose(1, 2), peaks.scores.transpose(1, 2)
        scores = scores * self.trained[:, None]
        there = (scores > 0)[..., None]
        outputs = dict(
            keypoints=torch.where(there, coords, torch.full_like(coords, torch.nan)), scores=scores
        )
        if self.novelty is not None:
            features = pooled_features(backbone)
            outputs["novelty"] = self.novelty(features[:: 2 if self.flip_test else 1])
        return outputs

    def input(self) -> dict[str, Any]:
        """Whole images that are fitted into one size, and padded."""
        size = [int(each) for each in self.model.head.decoder.input_size]
        return dict(kind="crop", size=size, crop=dict(rule="fit"))

    def references(
        self, predictor: BoxPredictor, views: Sequence[View]
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield each whole image, fitted, with the predictor's peaks by type."""
        test_cfg, codec = self.model.test_cfg, self.model.head.decoder
        before = test_cfg.get("flip_test", False)
        test_cfg["flip_test"] = self.flip_test
        try:
            for view in views:
                packed = predictor.packed([view])
                crop = packed["inputs"][0].flip(0).permute(1, 2, 0).numpy()  # BGR to RGB
                with torch.no_grad():
                    (sample,) = predictor.model.test_step(packed)
                yield crop[None], _by_type(sample, len(self.flip_indices), codec.max_peaks)
        finally:
            test_cfg["flip_test"] = before


def _by_type(sample: Any, types: int, most: int) -> Arrays:
    """Read a prediction of single points as the outputs of the graph, in px of the crop."""
    found, meta = sample.pred_instances, sample.metainfo
    scale, center = np.asarray(meta["input_scale"]), np.asarray(meta["input_center"])
    coords = (np.asarray(found.keypoints) - center + scale / 2) / scale * meta["input_size"]
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
