"""Graph of models that point at any number of things, and so count them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.export.graphs.base import Arrays, Graph, Novelty, geometry_of
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
    """Points of crops (N, H, W, 3), one after another until all images are over.

    Args:
        predictor: A model whose head points at any number of things.
        cfg: Its config.
        flip_test: Not used.
        level: Probability of the interval of the number.
    """

    task = "points"

    def __init__(
        self,
        predictor: BoxPredictor,
        cfg: Config,
        flip_test: bool | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(predictor)
        predictor.set_level(level)
        self.level = level
        self.crop = geometry_of(cfg, predictor.metainfo)
        features = predictor.training_features
        self.novelty = None if features is None else Novelty(features)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``keypoints`` (N, P, 2) px of the crop, ``scores`` (N, P), ``over`` (N, P + 1).

        Points that no image needed are NaN and score 0; they are over with a probability of 1.
        """
        backbone = self.model.backbone(self.normalise(image))
        run = sequence(self.model.head, self.model.neck(backbone))
        most = self.model.head.max_points
        size = run.coords.new_tensor(self.model.head.decoder.input_size)
        outputs = dict(
            keypoints=(run.coords[:, :most] + 1) * size / 2,
            scores=run.scores[:, :most],
            over=run.over,
        )
        if self.novelty is not None:
            outputs["novelty"] = self.novelty(pooled_features(backbone))
        return outputs

    def input(self) -> dict[str, Any]:
        """Crops of one size."""
        size = [int(each) for each in self.model.head.decoder.input_size]
        return dict(kind="crop", size=size, crop=self.crop)

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

    def references(
        self, predictor: BoxPredictor, views: Sequence[View]
    ) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield each crop with what the head's own steps give, padded as in the file."""
        head = self.model.head
        for view in views:
            packed = predictor.packed([view])
            crop = packed["inputs"][0].flip(0).permute(1, 2, 0).numpy()  # BGR to RGB
            with torch.no_grad():
                inputs = self.model.data_preprocessor(packed)["inputs"]
                backbone = self.model.backbone(inputs)
                coords, scores, over = head(self.model.neck(backbone))
            outputs = dict(
                keypoints=_padded(head.decoder.decode(coords.numpy())[0], head.max_points, np.nan),
                scores=_padded(scores.numpy(), head.max_points, 0),
                over=_padded(over.numpy(), head.max_points + 1, 1),
            )
            if predictor.training_features is not None:
                pooled = pooled_features(backbone).numpy()
                outputs["novelty"] = predictor.training_features.novelty(pooled)
            yield crop[None], outputs


def _padded(values: np.ndarray, length: int, filling: float) -> np.ndarray:
    """Lengthen the second axis of values (1, M, …)."""
    missing = [(0, 0)] * values.ndim
    missing[1] = (0, length - values.shape[1])
    return np.pad(values, missing, constant_values=filling)
