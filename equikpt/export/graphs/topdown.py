"""Graph of top-down models: heatmaps and SimCC, decoded in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmpose.models.heads import HeatmapHead, RTMCCHead, SimCCHead
from mmpose.models.utils.tta import flip_vectors
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export.decoders import decoder_of
from equikpt.export.graphs.base import Arrays, Graph, Probability, pair, to_crop
from equikpt.export.graphs.sequence import sequence
from equikpt.models.logit_heatmap_head import LogitHeatmapHead
from equikpt.models.sequential_attention_head import SequentialAttentionHead
from equikpt.structures.pose_instance import output_scores, px_per_input_px
from equikpt.structures.uncertainty import DEFAULT_LEVEL

Maps = Any
"""Heatmaps (N, K, H, W), vectors (N, K, W) and (N, K, H) of SimCC, or a :class:`Sequence`."""


def _heatmaps(head: Any, feats: Any) -> Tensor:
    return head(feats)


def _probabilities(head: Any, feats: Any) -> Tensor:
    return head(feats).sigmoid()


HEADS: dict[Any, Callable[[Any, Any], Maps]] = {
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
        cfg: As of any graph.
        flip_test: As of any graph.
        level: As of any graph.

    Raises:
        ValueError: A head or codec that is not known, or as of any graph.
    """

    task = "keypoints"
    factors: Tensor

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(predictor, cfg, flip_test, level)
        head = self.model.head
        self._maps_of_head = maps_of_head(head)
        self.decode = decoder_of(head.decoder)
        fit = getattr(self.model, "uncertainty", None) if self.decode.has_spread else None
        self.exponent = 1.0 if fit is None else float(fit.exponent)
        self.probability = None if fit is None else Probability(fit)
        ones = np.ones(len(self.flip_indices))
        factors = ones if fit is None else fit.radius(ones, level)
        self.register_buffer("factors", torch.from_numpy(factors.astype(np.float32)))
        branch = getattr(self.model, "visibility", None)
        self.visibility = branch if branch is not None and branch.has_weights else None

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the outputs of crops (N, H, W, 3)."""
        feats, novelty = self.features(image)
        points = self.decode(self._maps(feats))
        scores = points.scores if self.probability is None else self.probability(points.scores)
        nothing = torch.full_like(points.coords, torch.nan)
        outputs = dict(
            keypoints=torch.where(self.trained[:, None], points.coords, nothing),
            scores=scores * self.trained,
        )
        if self.visibility is not None:
            known = self.visibility(feats).sigmoid()
            if self.flip_test:
                plain, flipped = pair(known)
                known = (plain + flipped[:, self.flip_indices]) / 2
            outputs["visibility"] = known * self.trained[:, None]
        if self.probability is not None and points.spread is not None:
            outputs["radius"] = points.spread**self.exponent * self.factors
        return outputs | novelty

    def _maps(self, feats: Any) -> Maps:
        maps = self._maps_of_head(self.model.head, feats)
        if not isinstance(maps, tuple) or not self.flip_test:
            return self.averaged(maps)
        (x, flipped_x), (y, flipped_y) = map(pair, maps)
        flipped_x, flipped_y = flip_vectors(flipped_x, flipped_y, self.flip_indices)
        return (x + flipped_x) * 0.5, (y + flipped_y) * 0.5

    def expected(self, packed: dict[str, list]) -> Arrays:
        """As of any graph."""
        (sample,) = self.model.test_step(packed)
        return in_crop(sample, self.trained.numpy())


def in_crop(sample: Any, trained: np.ndarray) -> Arrays:
    """Read a top-down prediction as the outputs of a graph, in px of the crop.

    Args:
        sample: Prediction of one instance.
        trained: (K,) bool.
    """
    found, meta = sample.pred_instances, sample.metainfo
    coords = to_crop(found.keypoints, meta)
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
