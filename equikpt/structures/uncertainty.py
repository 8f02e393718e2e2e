"""Radii and probabilities of a model's keypoints, as held-out labels have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from equikpt_runtime.instance import level_index

DEFAULT_LEVEL = 0.9
RECORD = "uncertainty"
"""Key of the fit in the ``meta`` of a checkpoint."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Radii and probabilities of the K keypoints of a model.

    A radius is a factor times a power of the spread of the model's own output around the point
    (:mod:`equikpt.codecs.spread`), so that it adapts to the image. Both are in px of the input.

    Args:
        levels: (L,) rising probabilities.
        factors: (K, L) of that power, that a point of this keypoint keeps with this probability;
            infinite where too few labels were held out to say so.
        exponent: Of the spread.
        scores: (P,) rising scores of the model.
        probabilities: (P,) that a point of such a score lies within its OKS tolerance.
        source: Labels that it was fitted to, in words.
    """

    levels: np.ndarray
    factors: np.ndarray
    exponent: float
    scores: np.ndarray
    probabilities: np.ndarray
    source: str = ""

    def radius(self, spread: np.ndarray, level: float = DEFAULT_LEVEL) -> np.ndarray:
        """Radius (…, K), px of the input, that holds the truth with probability ``level``.

        Between two levels the higher one counts.

        Args:
            spread: (…, K) px of the input.
            level: Up to the highest of :attr:`levels`.

        Raises:
            ValueError: As :meth:`check_level`.
        """
        return spread**self.exponent * self.factors[:, level_index(self.levels, level)]

    def check_level(self, level: float) -> None:
        """Raise ``ValueError`` for a level that is out of range."""
        level_index(self.levels, level)

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Probability of each score of any shape; beyond the ends the ends' values hold."""
        return np.interp(scores, self.scores, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and texts, as checkpoints and JSON hold them; infinite factors are None."""
        plain = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in asdict(self).items()
        }
        plain["factors"] = [
            [value if np.isfinite(value) else None for value in row] for row in plain["factors"]
        ]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Uncertainty:
        """Read what :meth:`to_dict` wrote."""
        arrays = {
            name: np.array(plain[name], float) for name in ("levels", "scores", "probabilities")
        }
        factors = np.array(plain["factors"], float)  # None becomes NaN
        return cls(
            factors=np.where(np.isnan(factors), np.inf, factors),
            exponent=float(plain["exponent"]),
            source=str(plain.get("source", "")),
            **arrays,
        )


def record_uncertainty(checkpoint: dict[str, Any], fit: Uncertainty | None) -> None:
    """Write a fit into a checkpoint's ``meta``; None takes an earlier one out."""
    meta = checkpoint.setdefault("meta", {})
    meta.pop(RECORD, None)
    if fit is not None:
        meta[RECORD] = fit.to_dict()


def recorded_uncertainty(checkpoint: Mapping[str, Any]) -> Uncertainty | None:
    """Read the fit of a checkpoint; None where it has none."""
    meta = checkpoint.get("meta")
    plain = meta.get(RECORD) if isinstance(meta, Mapping) else None
    return Uncertainty.from_dict(plain) if isinstance(plain, Mapping) else None
