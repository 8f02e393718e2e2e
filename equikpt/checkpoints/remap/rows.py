"""What becomes of every tensor, as a table to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["loaded", "remapped", "initialised", "unused"]


@dataclass(frozen=True)
class TensorRow:
    """What becomes of one tensor.

    ``initialised`` means that the model keeps the values it starts with; ``unused``, that the
    checkpoint's tensor has no place in the model. ``detail`` names the points or the reason.
    """

    name: str
    outcome: Outcome
    shape: tuple[int, ...]
    detail: str = ""


def format_rows(rows: Sequence[TensorRow]) -> list[str]:
    """One line a tensor, and a last one that counts them."""
    width = max((len(row.outcome) for row in rows), default=0)
    lines = [
        f"{row.outcome:{width}}  {row.name} {row.shape}" + (row.detail and f": {row.detail}")
        for row in rows
    ]
    outcomes = [row.outcome for row in rows]
    kinds: tuple[Outcome, ...] = ("loaded", "remapped", "initialised", "unused")
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in kinds)
    return [*lines, f"{len(rows)} tensors: {counts}"]
