"""Graph of models that point at any number of things, and so count them."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.config import Config
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.export.graphs.base import Arrays, Graph
from equikpt.export.graphs.sequence import sequence
from equikpt.export.graphs.topdown import KeypointGraph
from equikpt.models.pooled_features import pooled_features
from equikpt.structures.uncertainty import DEFAULT_LEVEL, CountUncertainty


def sequential_graph(
    predictor: BoxPredictor,
    cfg: Config,
    flip_test: bool | None = None,
    level: float = DEFAULT_LEVEL,
) -> Graph:
    """Make the graph of a sequential attention head in its mode; arguments as of any graph.

    Raises:
        ValueError: A flip test, or as :class:`KeypointGraph`.
    """
    if flip_test:
        raise ValueError(
            "expected no flip test for SequentialAttentionHead: sequences of two images have no "
            "common order; leave it out"
        )
    make = KeypointGraph if predictor.model.head.named else PointsGraph
    return make(predictor, cfg, flip_test=False, level=level)


class PointsGraph(Graph):
    """Points of crops (N, H, W, 3), one after another until all images are over."""

    task = "points"

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (N, P, 2) px of the crop, ``scores`` (N, P), ``over`` (N, P + 1).

        Points that no image needed are NaN and score 0; they are over with a probability of 1.
        """
        feats, novelty = self.features(image)
        run = sequence(self.model.head, feats)
        most = self.model.head.max_points
        outputs = dict(
            keypoints=(run.coords[:, :most] + 1) * run.coords.new_tensor(self.size) / 2,
            scores=run.scores[:, :most],
            over=run.over,
        )
        return outputs | novelty

    def facts(self) -> dict[str, Any]:
        """State where sequences and the intervals of their numbers end."""
        head, fit = self.model.head, self.model.uncertainty
        ends = fit.ends(self.level) if isinstance(fit, CountUncertainty) else None
        return dict(
            points=dict(
                done_threshold=float(head.done_threshold),
                interval=None if ends is None else list(ends),
                level=self.level,
                max_points=int(head.max_points),
            )
        )

    def expected(self, packed: dict[str, list]) -> Arrays:
        """Outputs of the head's own steps, padded as in the file."""
        head = self.model.head
        backbone = self.model.backbone(self.model.data_preprocessor(packed)["inputs"])
        coords, scores, over = head(self.model.neck(backbone))
        outputs = dict(
            keypoints=_padded(head.decoder.decode(coords.numpy())[0], head.max_points, np.nan),
            scores=_padded(scores.numpy(), head.max_points, 0),
            over=_padded(over.numpy(), head.max_points + 1, 1),
        )
        features = self.model.training_features
        if features is not None:
            outputs["novelty"] = features.novelty(pooled_features(backbone).numpy())
        return outputs


def _padded(values: np.ndarray, length: int, filling: float) -> np.ndarray:
    """Lengthen the second axis of values (1, M, …)."""
    missing = [(0, 0)] * values.ndim
    missing[1] = (0, length - values.shape[1])
    return np.pad(values, missing, constant_values=filling)
