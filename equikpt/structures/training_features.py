"""Features of the images that a model was trained on, and how far another image is from them.

Letters: N images, D features, d directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

RECORD = "training_features"
"""Key in the ``meta`` of a checkpoint."""


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Mean and covariance of the features of training images, and the limit of others.

    Distances are those of Mahalanobis, in standard deviations along each of the d directions in
    which training images differ most; in all other directions they share one deviation, so that
    few images suffice.

    Args:
        mean: (D,).
        scale: (D,) standard deviations.
        directions: (d, D) orthonormal, of features that have mean 0 and deviation 1.
        variances: (d,) along them.
        rest: Variance along each other direction.
        typical: Distance of the training images, on average.
        limit: Greatest :meth:`novelty` of an image that is like those of the training.
        level: Probability with which a further such image keeps it.
        source: Held-out images that the limit was fitted to, in words.

    Sources: Lee et al., 2018, https://arxiv.org/abs/1807.03888 (Mahalanobis distance of features);
    Tipping and Bishop, 1999 (probabilistic PCA: the covariance).
    """

    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    rest: float
    typical: float
    limit: float
    level: float
    source: str = ""

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Compute the distances (N,) of features (N, D)."""
        if features.shape[-1] != len(self.mean):
            raise ValueError(
                f"expected {len(self.mean)} features as in training, got {features.shape[-1]}; "
                "the record is of another model: fit it anew"
            )
        scaled = (np.asarray(features, np.float32) - self.mean) / self.scale
        along = scaled @ self.directions.T
        others = np.square(scaled).sum(axis=-1) - np.square(along).sum(axis=-1)
        squared = (np.square(along) / self.variances).sum(axis=-1) + others / self.rest
        return np.sqrt(np.maximum(squared, 0))

    def novelty(self, features: np.ndarray) -> np.ndarray:
        """Distances (N,) of features (N, D) from the training images, whose own are 1 on average.

        Raises:
            ValueError: The features are those of another model.
        """
        return self.distances(features) / self.typical

    def refusal(self, novelty: float) -> str:
        """State that an image is unlike those of the training; empty up to the limit."""
        if novelty <= self.limit:
            return ""
        return f"unlike the training images (score {novelty:.2f}, limit {self.limit:.2f})"

    def to_dict(self) -> dict[str, Any]:
        """Tensors, numbers and texts, as checkpoints hold them; directions in half precision."""
        plain = {
            name: torch.from_numpy(value.astype(np.float32)) if hasattr(value, "shape") else value
            for name, value in asdict(self).items()
        }
        plain["directions"] = plain["directions"].half()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TrainingFeatures:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            **{
                name: value.float().cpu().numpy() if isinstance(value, torch.Tensor) else value
                for name, value in plain.items()
            }
        )

    @classmethod
    def recorded_in(cls, checkpoint: Mapping[str, Any]) -> TrainingFeatures | None:
        """Read the record of a checkpoint as MMEngine wrote it; None where there is none."""
        meta = checkpoint.get("meta")
        plain = meta.get(RECORD) if isinstance(meta, Mapping) else None
        return cls.from_dict(plain) if isinstance(plain, Mapping) else None
