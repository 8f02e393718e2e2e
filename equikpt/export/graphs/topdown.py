"""Graph of top-down models: heatmaps and SimCC, decoded in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.models.heads import HeatmapHead, RTMCCHead, SimCCHead
from mmpose.models.utils.tta import flip_heatmaps, flip_vectors
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.export.decoders import Decoded, decoder_of
from equikpt.export.graphs.base import Arrays, Graph, Novelty, Probability, geometry_of
from equikpt.export.graphs.sequence import sequence
from equikpt.metainfo.trained import trained_keypoints
from equikpt.models.logit_heatmap_head import LogitHeatmapHead
from equikpt.models.pooled_features import pooled_features
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.structures.uncertainty import DEFAULT_LEVEL

Maps = Any
"""Heatmaps (N, K, H, W), vectors (N, K, W) and (N, K, H) of SimCC, or a :class:`Sequence`."""


def _heatmaps(head: Any, feats: Any) -> Tensor:
    return head(feats)


def _probabilities(head: Any, feats: Any) -> Tensor:
    return head(feats).sigmoid()


HEADS: dict[type, Callable[[Any, Any], Maps]] = {
    HeatmapHead: _heatmaps,
    LogitHeatmapHead: _probabilities,
    RTMCCHead: _heatmaps,
    SimCCHead: _heatmaps,
    SequentialAttentionHead: sequence,
}
"""Classes of heads, and how the maps that their codec decodes come from the features."""


def maps_of_head(head: Any) -> Callable[[Any, Any], Maps]:
    """Look up a head whose ``predict`` is that of a class in :data:`HEADS`.

    Raises:
        ValueError: Another head.
    """
    for known, maps in HEADS.items():
        if getattr(type(head), "predict", None) is known.predict:
            return maps
    raise ValueError(
        f"expected a head that can be exported ({', '.join(each.__name__ for each in HEADS)} and "
        f"what is derived from them), got {type(head).__name__}"
    )


class KeypointGraph(Graph):
    """Top-down keypoints of crops.

    Args:
        predictor: A top-down model.
        cfg: Its config.
        flip_test: Average with the mirrored crop; None as ``test_cfg`` says.
        level: Probability of the radii.

    Raises:
        ValueError: A head, codec or pipeline that is not known, or a level without a fit.
    """

    task = "keypoints"

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(predictor)
        predictor.set_level(level)
        head, metainfo = self.model.head, predictor.metainfo
        self._maps_of_head = maps_of_head(head)
        self.decode = decoder_of(head.decoder)
        self.crop = geometry_of(cfg, metainfo)
        self.size = [int(each) for each in head.decoder.input_size]
        test_cfg = self.model.test_cfg
        self.flip_test = bool(test_cfg.get("flip_test", False) if flip_test is None else flip_test)
        self.flip = dict(
            flip_mode=test_cfg.get("flip_mode", "heatmap"),
            shift_heatmap=test_cfg.get("shift_heatmap", False),
        )
        self.flip_indices = [int(each) for each in metainfo["flip_indices"]]
        self.register_buffer("trained", torch.from_numpy(trained_keypoints(metainfo)))
        fit = getattr(self.model, "uncertainty", None) if self.decode.has_spread else None
        self.exponent = 1.0 if fit is None else float(fit.exponent)
        self.probability = None if fit is None else Probability(fit)
        ones = np.ones(len(self.flip_indices))
        factors = ones if fit is None else fit.radius(ones, level)
        self.register_buffer("factors", torch.from_numpy(factors.astype(np.float32)))
        features = predictor.training_features
        self.novelty = None if features is None else Novelty(features)
        branch = getattr(self.model, "visibility", None)
        self.visibility = branch if branch is not None and branch.has_weights else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the outputs of crops (N, H, W, 3)."""
        inputs = self.normalise(image)
        if self.flip_test:
            inputs = torch.stack([inputs, inputs.flip(-1)], dim=1).flatten(0, 1)
        backbone = self.model.backbone(inputs)
        feats = self.model.neck(backbone) if self.model.with_neck else backbone
        points = self.decode(self._maps(feats))
        scores = points.scores if self.probability is None else self.probability(points.scores)
        nothing = torch.full_like(points.coords, torch.nan)
        outputs = dict(
            keypoints=torch.where(self.trained[:, None], points.coords, nothing),
            scores=scores * self.trained,
        )
        if self.visibility is not None:
            outputs["visibility"] = self._visibility(feats) * self.trained[:, None]
        if self.probability is not None:
            outputs["radius"] = self._radius(points)
        if self.novelty is not None:
            features = pooled_features(backbone)
            plain = _pair(features)[0] if self.flip_test else features
            outputs["novelty"] = self.novelty(plain)
        return outputs

    def _maps(self, feats: Any) -> Maps:
        maps = self._maps_of_head(self.model.head, feats)
        if not self.flip_test:
            return maps
        if isinstance(maps, tuple):
            (x, flipped_x), (y, flipped_y) = map(_pair, maps)
            flipped_x, flipped_y = flip_vectors(flipped_x, flipped_y, self.flip_indices)
            return (x + flipped_x) * 0.5, (y + flipped_y) * 0.5
        plain, flipped = _pair(maps)
        return (plain + flip_heatmaps(flipped, self.flip_indices, **self.flip)) * 0.5

    def _visibility(self, feats: Any) -> Tensor:
        probabilities = self.visibility(feats).sigmoid()
        if not self.flip_test:
            return probabilities
        plain, flipped = _pair(probabilities)
        return (plain + flipped[:, self.flip_indices]) / 2

    def _radius(self, points: Decoded) -> Tensor:
        return points.spread**self.exponent * self.factors

    def input(self) -> dict[str, Any]:
        """Crops of one size."""
        return dict(kind="crop", size=self.size, crop=self.crop)

    def references(
        self, predictor: BoxPredictor, views: Sequence[View]
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield each crop with what the predictor makes of it, in px of the crop."""
        test_cfg = self.model.test_cfg
        before = test_cfg.get("flip_test", False)
        test_cfg["flip_test"] = self.flip_test
        try:
            for image, box in views:
                yield self._reference(predictor, image, box)
        finally:
            test_cfg["flip_test"] = before

    def _reference(
        self, predictor: BoxPredictor, image: np.ndarray, box: np.ndarray
    ) -> tuple[np.ndarray, Arrays]:
        packed = predictor.packed([(image, box)])
        crop = packed["inputs"][0].flip(0).permute(1, 2, 0).numpy()  # BGR to RGB
        with torch.no_grad():
            (sample,) = predictor.model.test_step(packed)
        return crop[None], in_crop(sample, trained_keypoints(predictor.metainfo))


def _pair(values: Tensor) -> tuple[Tensor, Tensor]:
    """Part (2 N, …) of N crops, each with its mirrored one behind it, into two of (N, …)."""
    plain, flipped = values.unflatten(0, (-1, 2)).unbind(1)
    return plain, flipped


def in_crop(sample: Any, trained: np.ndarray) -> Arrays:
    """Read a top-down prediction as the outputs of a graph, in px of the crop.

    Args:
        sample: Prediction of one instance.
        trained: (K,) bool.
    """
    from equikpt.structures.pose_instance import output_scores, px_per_input_px

    found, meta = sample.pred_instances, sample.metainfo
    scale, center = np.asarray(meta["input_scale"]), np.asarray(meta["input_center"])
    coords = (np.asarray(found.keypoints) - center + scale / 2) / scale * meta["input_size"]
    outputs = dict(
        keypoints=np.where(trained[:, None], coords, np.nan),
        scores=output_scores(found),
    )
    if "keypoints_presence" in found:
        outputs["visibility"] = np.stack([found.keypoints_presence, found.keypoints_seen], axis=-1)
    if "keypoint_radius" in found:
        outputs["radius"] = np.asarray(found.keypoint_radius) / px_per_input_px(meta)
    if "novelty" in found:
        outputs["novelty"] = np.asarray(found.novelty)
    return outputs
