"""Radii and probabilities of keypoints, and intervals of counts, as held-out labels have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from equikpt.structures.checkpoint_records import check_keys, read_record, write_record
from equikpt_runtime.instance import level_index, points_before

DEFAULT_LEVEL = 0.9
RECORD = "uncertainty"
"""Key of the fit in the ``meta`` of a checkpoint."""


class Levelled:
    """Limits by rising levels, the probabilities with which they are kept."""

    levels: np.ndarray

    def check_level(self, level: float) -> None:
        """Raise ``ValueError`` for a level that is out of range."""
        level_index(self.levels, level)

    def index_of(self, level: float) -> int:
        """Index of a level; between two the higher one's. Errors as :meth:`check_level`."""
        return level_index(self.levels, level)


@dataclass(frozen=True, eq=False)
class Uncertainty(Levelled):
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

        Args:
            spread: (…, K) px of the input.
            level: Up to the highest of :attr:`levels`.

        Raises:
            ValueError: As :meth:`check_level`.
        """
        return spread**self.exponent * self.factors[:, self.index_of(level)]

    def has_level(self, level: float) -> bool:
        """True where a keypoint has finite radii of a level; errors as :meth:`check_level`."""
        return bool(np.isfinite(self.factors[:, self.index_of(level)]).any())

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Probability of each score of any shape; beyond the ends the ends' values hold."""
        return np.interp(scores, self.scores, self.probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and texts, as checkpoints and JSON hold them; infinite factors are None."""
        plain = _plain(self)
        plain["factors"] = [
            [value if np.isfinite(value) else None for value in row] for row in plain["factors"]
        ]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Uncertainty:
        """Read what :meth:`to_dict` wrote; ``ValueError`` for other keys."""
        check_keys(cls, plain)
        arrays = {
            name: np.array(plain[name], float) for name in ("levels", "scores", "probabilities")
        }
        factors = np.array(plain["factors"], float)  # None becomes NaN
        return cls(
            factors=np.where(np.isnan(factors), np.inf, factors),
            exponent=float(plain["exponent"]),
            source=str(plain["source"]),
            **arrays,
        )


@dataclass(frozen=True, eq=False)
class CountUncertainty(Levelled):
    """Interval of the number of things in an image, by a model that counts.

    Its ends are those numbers below and above which, by the model's own distribution, as much
    probability lies as held-out images need. So it adapts to the image.

    Args:
        levels: (L,) rising probabilities.
        tails: (L,) probability beyond each end of an interval that holds the true number with this
            probability, up to 0.5; 0 where too few images were held out to say so, or the model
            all but excluded too many of their numbers.
        source: Images that it was fitted to, in words.
    """

    levels: np.ndarray
    tails: np.ndarray
    source: str = ""

    def has_level(self, level: float) -> bool:
        """True where there are intervals of a level; errors as :meth:`check_level`."""
        return bool(self.tails[self.index_of(level)] > 0)

    def interval(self, over: np.ndarray, level: float = DEFAULT_LEVEL) -> tuple[int, int] | None:
        """Fewest and most things with the probability ``level``, inclusive; None if there is none.

        Args:
            over: (M + 1,) probability that there are at most 0, 1, … M of them, rising; see
                :data:`MOST_OVER`.
            level: Up to the highest of :attr:`levels`.

        Raises:
            ValueError: As :meth:`check_level`.
        """
        ends = self.ends(level)
        if ends is None:
            return None
        over = np.asarray(over, float)  # as the ends are, to which it is compared
        low, high = (points_before(over, end) for end in ends)
        return low, high

    def ends(self, level: float = DEFAULT_LEVEL) -> tuple[float, float] | None:
        """Probabilities of being over at both ends of an interval; as :meth:`interval`."""
        if not self.has_level(level):
            return None
        tail = float(self.tails[self.index_of(level)])
        return tail, 1 - tail

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and texts, as checkpoints and JSON hold them."""
        return _plain(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CountUncertainty:
        """Read what :meth:`to_dict` wrote; ``ValueError`` for other keys."""
        check_keys(cls, plain)
        levels, tails = (np.array(plain[name], float) for name in ("levels", "tails"))
        return cls(levels, tails, str(plain["source"]))


MOST_OVER = 0.999
"""Probability of being over up to which a model that counts goes on; what lies beyond it has none
that could be told from 0."""


def record_uncertainty(
    checkpoint: dict[str, Any], fit: Uncertainty | CountUncertainty | None
) -> None:
    """Write a fit into a checkpoint's ``meta``; None takes an earlier one out."""
    write_record(checkpoint, RECORD, fit)


def recorded_uncertainty(checkpoint: Mapping[str, Any]) -> Uncertainty | CountUncertainty | None:
    """Read the fit of a checkpoint; None where it has none.

    Raises:
        RecordError: Of another version of the package.
    """

    def read(plain: Mapping[str, Any]) -> Uncertainty | CountUncertainty:
        kind: type[Uncertainty | CountUncertainty]
        kind = CountUncertainty if "tails" in plain else Uncertainty
        return kind.from_dict(plain)

    return read_record(checkpoint, RECORD, read)


def _plain(record: Any) -> dict[str, Any]:
    """Fields of a record, arrays as lists."""
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(record).items()
    }
