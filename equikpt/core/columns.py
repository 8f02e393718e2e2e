"""Numbers and columns of tables for readers."""

from __future__ import annotations

import math
from dataclasses import dataclass

MISSING = "–"


def number(value: float | None, digits: int) -> str:
    """Format a number with ``digits`` decimals; a dash for None and for what is not finite."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Args:
        title: Heading.
        numbers: It holds numbers, which are aligned to the right.
        digits: Decimals of its numbers.
    """

    title: str
    numbers: bool = True
    digits: int = 0

    def text(self, value: str | float | None) -> str:
        """Format a value for a reader."""
        return value if isinstance(value, str) else number(value, self.digits)

    def key(self, value: str | float | None) -> str:
        """Format a value for sorting; empty values sort last."""
        if isinstance(value, str):
            return value
        return "" if number(value, 0) == MISSING else f"{value:.6g}"
