"""Description by which a metric presents itself; tests and reports know no metric by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.registry import METRICS
from tqdm import tqdm

from equikpt.core.columns import Column
from equikpt.core.tables import frame_text
from equikpt.visualization.pose import contact_sheet
from equikpt_runtime.files import write_text


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
class Example:
    """Row of a metric's table to show.

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


class Presented(BaseMetric):
    """Metric with a table that says how tests and reports show its values and examples.

    Args:
        log_table: Log the table or a summary.
        out_file: CSV file for the table; None writes none.
        collect_device: As in ``BaseMetric``.
        prefix: As in ``BaseMetric``.
    """

    primary: ClassVar[str] = ""
    """Name of the value to judge a run by, without its prefix; empty for none."""
    table_title: ClassVar[str] = "One by one"
    rows_are_samples: ClassVar[bool] = True
    """Long tables of samples are folded."""
    legend: ClassVar[str] = "Left the ground truth, right the prediction."
    """Explanation of the drawings of its examples."""
    figures: ClassVar[dict[str, Figure]] = {}
    """Values by their name without prefix, key figures in the order in which they are shown."""
    shown_columns: ClassVar[dict[str, Column]] = {}
    """Columns of its table that reports show, by name."""
    worst_by: ClassVar[str] = ""
    """Column whose largest values come first; empty keeps the order."""
    table_file: ClassVar[str] = ""
    """Name of the CSV that every test writes beside its log; empty where only on request."""
    sheet_file: ClassVar[str] = ""
    """Name of the sheet of worst examples that every test draws there; empty draws samples."""

    def __init__(
        self,
        log_table: bool = False,
        out_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.log_table = log_table
        self.out_file = out_file
        self.table: pd.DataFrame | None = None

    def annotation_of(self, sample: dict) -> dict:
        """Read the annotation of a sample of one instance.

        Raises:
            ValueError: It has none of its own (bottom-up data, or boxes of a detector).
        """
        annotation = sample.get("raw_ann_info")
        if not isinstance(annotation, dict):
            raise ValueError(
                "expected one annotation a sample in raw_ann_info (top-down data from an "
                f"annotation file), got {type(annotation).__name__}; leave {type(self).__name__} "
                "out for bottom-up data or detected boxes"
            )
        return annotation

    def publish(self, table: pd.DataFrame, text: str) -> None:
        """Keep the table, write it and log ``text`` as configured."""
        self.table = table
        if self.log_table:
            MMLogger.get_current_instance().info(text)
        if self.out_file:
            write_text(Path(self.out_file), frame_text(table))

    def summary(self) -> str:
        """Text on the table for a terminal, above the values; empty for none."""
        return ""

    def sheet(self, count: int) -> np.ndarray:
        """Draw the worst examples side by side, worst first."""
        ranked = [] if self.table is None else self.ranked(self.table) or []
        worst = [each for each in reversed(ranked) if each.draw][:count]
        bar = tqdm(worst, desc="drawing", unit="img", delay=5, disable=None)
        drawn = [each.draw() for each in bar if each.draw]
        captions = [f"{Path(each.path).name}: {each.caption}" for each in worst]
        return contact_sheet(drawn, 4, captions, drawn[0].shape[1::-1])

    @classmethod
    def figure(cls, name: str) -> Figure:
        """Describe a value by its name without prefix."""
        return cls.figures.get(name, Figure(""))

    @classmethod
    def columns(cls, table: pd.DataFrame) -> dict[str, Column]:
        """Columns of the table to show; none without a table for readers."""
        return cls.shown_columns

    @classmethod
    def worst(cls, table: pd.DataFrame) -> pd.DataFrame:
        """Sort the rows, the worst first."""
        return table.sort_values(cls.worst_by, ascending=False) if cls.worst_by else table

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
