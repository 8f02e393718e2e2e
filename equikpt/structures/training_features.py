"""Features of the images that a model was trained on, and how far another image is from them.

Letters: N images, M stored ones, D features, d directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from equikpt_runtime.instance import refusal

RECORD = "training_features"
"""Key in the ``meta`` of a checkpoint."""
NEIGHBOURS = 5
"""Nearest stored images whose mean distance counts."""


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Features of training images, each of length 1, and the limit that other images keep.

    An image's novelty is its mean distance to its nearest neighbours among them. They are stored
    by their positions along the d directions in which they differ most, and by what is left of
    their distance from the mean, which counts as if it were at right angles to that of any other.

    Args:
        mean: (D,) of the training images.
        directions: (d, D) orthonormal.
        positions: (M, d) of stored training images.
        rests: (M,) squared distance that is left of each.
        typical: Median distance of the held-out images, which therefore have a novelty of 1.
        limit: Greatest novelty of an image that is like those of the training.
        level: Probability with which a further image like the held-out ones keeps it.
        source: Held-out images that the limit was fitted to, in words.

    Source: Sun et al., 2022, https://arxiv.org/abs/2204.06507 (deep nearest neighbours).
    """

    mean: np.ndarray
    directions: np.ndarray
    positions: np.ndarray
    rests: np.ndarray
    typical: float
    limit: float
    level: float
    source: str = ""

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Compute the mean distances (N,) of features (N, D), of any length, to the nearest.

        Raises:
            ValueError: The features are those of another model.
        """
        if features.shape[-1] != len(self.mean):
            raise ValueError(
                f"expected {len(self.mean)} features as in training, got {features.shape[-1]}: "
                "the record is of another model; compute it anew"
            )
        positions, rests = project(features, self.mean, self.directions)
        squared = (
            (np.square(positions).sum(axis=1) + rests)[:, None]
            + (np.square(self.positions).sum(axis=1) + self.rests)
            - 2 * positions @ self.positions.T
        )
        count = min(NEIGHBOURS, len(self.positions))
        nearest = np.partition(squared, count - 1, axis=1)[:, :count]
        return np.sqrt(np.maximum(nearest, 0)).mean(axis=1)

    def novelty(self, features: np.ndarray) -> np.ndarray:
        """Compute the novelty (N,) of features (N, D); errors as :meth:`distances`."""
        return self.distances(features) / self.typical

    def refusal(self, novelty: float) -> str:
        """State that an image is unlike those of the training; empty up to the limit."""
        return refusal(novelty, self.limit)

    def to_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts, as checkpoints hold them; tables in half precision."""
        plain: dict[str, Any] = asdict(self)
        for name in ("mean", "directions", "positions", "rests"):
            tensor = torch.from_numpy(np.asarray(plain[name], np.float32))
            plain[name] = tensor.half() if tensor.dim() == 2 else tensor
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TrainingFeatures:
        """Read what :meth:`to_dict` wrote."""
        values: dict[str, Any] = {
            name: value.float().cpu().numpy() if isinstance(value, torch.Tensor) else value
            for name, value in plain.items()
        }
        return cls(**values)


def record_training_features(checkpoint: dict, features: TrainingFeatures | None) -> None:
    """Write the record into a checkpoint, as MMEngine writes it; None takes an earlier one out."""
    meta = checkpoint.setdefault("meta", {})
    meta.pop(RECORD, None)
    if features is not None:
        meta[RECORD] = features.to_dict()


def recorded_training_features(checkpoint: Mapping[str, Any]) -> TrainingFeatures | None:
    """Read the record of a checkpoint; None where it has none."""
    meta = checkpoint.get("meta")
    plain = meta.get(RECORD) if isinstance(meta, Mapping) else None
    return TrainingFeatures.from_dict(plain) if isinstance(plain, Mapping) else None


def unit(features: np.ndarray) -> np.ndarray:
    """Scale features (N, D) to length 1: how strong an image's contrast is does not count."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, np.finfo(np.float32).tiny)


def project(
    features: np.ndarray, mean: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, d) of features (N, D), scaled to length 1, and the squared rests (N,)."""
    centred = unit(np.asarray(features, np.float32)) - mean
    positions = centred @ directions.T
    rests = np.square(centred).sum(axis=1) - np.square(positions).sum(axis=1)
    return positions, np.maximum(rests, 0)
