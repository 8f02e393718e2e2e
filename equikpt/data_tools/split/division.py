"""Into how many parts a set is divided, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.data_tools.convert.records import SPLITS
from equikpt.data_tools.split.assignment import image_targets

REST = "rest"


@dataclass(frozen=True)
class Division:
    """Into how many parts, and how large; one of the three.

    Args:
        ratios: Of two or three parts, train, val and test; their sum is 1.
        counts: Images of two or three parts; one may be ``"rest"``.
        folds: Number of parts of equal size, each once the val of a fold.

    Raises:
        ValueError: A number cannot be right.
    """

    ratios: tuple[float, ...] = ()
    counts: tuple[int | str, ...] = ()
    folds: int | None = None

    def __post_init__(self) -> None:
        if bool(self.ratios) + bool(self.counts) + (self.folds is not None) != 1:
            raise ValueError("expected ratios, counts or folds, one of them")
        if self.folds is not None and self.folds < 2:
            raise ValueError(f"expected two folds or more, got {self.folds}")
        parts = self.ratios or self.counts
        if parts and len(parts) not in (2, 3):
            raise ValueError(
                f"expected two parts (train val) or three (train val test), got {len(parts)}"
            )
        if self.ratios and (min(self.ratios) <= 0 or abs(sum(self.ratios) - 1) > 1e-6):
            raise ValueError(
                f"expected ratios above 0 whose sum is 1, got {_listed(self.ratios)}, whose sum is "
                f"{sum(self.ratios):g}"
            )
        numbers = [count for count in self.counts if isinstance(count, int)]
        if len(self.counts) - len(numbers) > 1 or any(number < 1 for number in numbers):
            raise ValueError(
                f"expected counts above 0, one of which may be '{REST}', got {_listed(self.counts)}"
            )

    def names(self) -> tuple[str, ...]:
        """Name the parts; a fold's name is where its val goes."""
        if self.folds is not None:
            return tuple(f"fold_{number}" for number in range(self.folds))
        return SPLITS[: len(self.ratios or self.counts)]

    def targets(self, count: int) -> np.ndarray:
        """(P,) images of each part, of ``count`` images.

        Raises:
            ValueError: Counts do not add up to all images, or there are fewer than parts.
        """
        if count < len(self.names()):
            raise ValueError(f"{count} images do not fill {len(self.names())} parts")
        if not self.counts:
            return image_targets(count, self.ratios or [1] * len(self.names()))
        left = count - sum(number for number in self.counts if isinstance(number, int))
        if left < 0 or (left == 0) == (REST in self.counts):
            raise ValueError(
                f"counts {_listed(self.counts)} do not divide the {count} images; write "
                f"'{REST}' for one of them"
            )
        return np.array([left if number == REST else number for number in self.counts], int)


def _listed(values: Sequence[object]) -> str:
    return " ".join(map(str, values))
