"""Descriptions by which a metric presents itself in reports, which know no metric by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

MISSING = "–"


def number(value: float | None, digits: int) -> str:
    """Format a number with ``digits`` decimals; a dash for None and for what is not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}f}"


@dataclass(frozen=True)
class Figure:
    """Way to show one value of a metric.

    Args:
        meaning: Phrase that explains it, with its unit.
        title: Title as a key figure; empty for a value that is none.
        below: Line below the key figure.
        digits: Decimals; None: three below 10, one above.
        scale: Factor of the value, 100 for percent.
        unit: Text behind the value.
    """

    meaning: str
    title: str = ""
    below: str = ""
    digits: int | None = None
    scale: float = 1
    unit: str = ""

    def decimals(self, value: float) -> int:
        """Number of decimals of a value."""
        return self.digits if self.digits is not None else 3 if abs(value) < 10 else 1


@dataclass(frozen=True)
class Column:
    """Column of a metric's table.

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


@dataclass(frozen=True)
class Example:
    """Row of a metric's table to look at.

    Args:
        caption: Phrase on its errors.
        index: Its sample in the data set, which is drawn where ``draw`` is None.
        path: File of its image.
        draw: Function that gives the drawing, (H, W, 3) uint8, BGR.
    """

    caption: str
    index: int = -1
    path: str = ""
    draw: Callable[[], np.ndarray] | None = None


class Presented:
    """Part of a metric that says how reports show its values, its ``table`` and its examples."""

    default_prefix: str | None
    primary: ClassVar[str] = ""
    """Name of the value to judge a run by, without its prefix; empty for none."""
    table_title: ClassVar[str] = "One by one"
    rows_are_samples: ClassVar[bool] = True
    """Long tables of samples are folded."""
    legend: ClassVar[str] = "Left the ground truth, right the prediction."
    """Explanation of the drawings of its examples."""
    figures: ClassVar[dict[str, Figure]] = {}
    """Values by their name without prefix, key figures in the order in which they are shown."""

    @classmethod
    def figure(cls, name: str) -> Figure:
        """Describe a value by its name without prefix."""
        return cls.figures.get(name, Figure(""))

    @classmethod
    def columns(cls, table: pd.DataFrame) -> dict[str, Column]:
        """Columns of the table to show; none without a table for readers."""
        return {}

    @classmethod
    def worst(cls, table: pd.DataFrame) -> pd.DataFrame:
        """Sort the rows, those to look at first."""
        return table

    @classmethod
    def ranked(cls, table: pd.DataFrame) -> list[Example] | None:
        """List the rows to draw, best first; None where no error belongs to a single one."""
        return None


def presented() -> dict[str, type[Presented]]:
    """List the registered metrics that present themselves, by name."""
    found = METRICS.module_dict.items()
    return {name: each for name, each in found if issubclass(each, Presented)}


def figure_of(name: str) -> Figure:
    """Describe a value by its full name, such as ``landmark/error_px``."""
    prefix, _, rest = name.rpartition("/")
    metrics = (each for each in presented().values() if each.default_prefix == prefix)
    return next((each.figure(rest) for each in metrics), Figure(""))
