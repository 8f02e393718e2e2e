"""Error of ruler marks: in px, in mm, and of the scale that they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.evaluation.functional.ruler_errors import (
    failures,
    mark_distance,
    order_swaps,
    radial_errors,
    scale_errors,
)
from equikpt.evaluation.presentation import Example, Figure, Presented
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.rulers import draw_radiograph

WITHIN = dict(px=(2.0, 5.0, 10.0), mm=(1.0, 2.0, 2.5, 3.0, 4.0))
UNITS = dict(px="px of the radiograph", mm="mm")
STATISTICS: dict[str, tuple[str, Callable[[np.ndarray], float]]] = {
    "median": ("median", np.median),
    "min": ("smallest", np.min),
    "max": ("largest", np.max),
    "std": ("standard deviation", np.std),
    **{f"p{p}": (f"{p}th percentile", partial(np.percentile, q=p)) for p in (75, 90, 95)},
}
"""Statistics of ``error_px``."""
SUMMARY = """Samples: {radiographs:.0f}
Average: {error_px:.2f} px of the radiograph, \
{error_input_px:.2f} px of the input, {error_mm:.3f} mm
Median:  {error_px_median:.2f} px
Min:     {error_px_min:.2f} px
Max:     {error_px_max:.2f} px
Scale:   {scale_error:.2f} % median, {scale_error_p95:.2f} % 95th percentile
{swaps:.0f} swapped, {failures:.0f} failed"""


@METRICS.register_module()
class RulerMetric(Presented):
    """Euclidean error of each mark on its own, and of the scale, over whole radiographs.

    ``error`` is the mean over radiographs and marks, never one norm over all four coordinates. Its
    units are px of the model's input (``error_input_px``), px of the radiograph (``error_px``) and
    mm (``error_mm``). Millimetres come from ``pixel_spacing_mm`` of the sample where it has one (mm
    a px of the radiograph), else from ``mm_per_px``, else from the labelled ruler of the radiograph
    itself.

    Metrics, each under ``landmark/``: ``error_input_px``, ``error_px`` and ``error_mm``, with
    ``median``, ``min``, ``max``, ``std`` and percentiles of ``error_px``; the fractions of
    marks within px of the radiograph and within mm; ``scale_error`` (median) and
    ``scale_error_p95`` in percent; ``swaps`` and ``failures``, numbers of radiographs
    (:mod:`equikpt.evaluation.functional.ruler_errors`).

    Samples of single marks (``RulerMarkDataset``) are put together, one row a radiograph.

    Args:
        ruler_mm: Distance of the marks in mm.
        mm_per_px: Scale of every radiograph, for radiographs of one scanner.
        **kwargs: As :class:`Presented`.

    Raises:
        ValueError: A length that is not above 0, a data set of another number of marks, or a test
            set without one radiograph that has both marks.
    """

    default_prefix = "landmark"
    primary = "error_px"
    legend = (
        "Ground truth green, prediction red, the surroundings of the ruler. Ranked by the worse "
        "mark."
    )
    figures = {
        "error_px": Figure(
            "mean distance of a mark, px of the radiograph", "Error of a mark",
            "px of the radiograph, mean", 2,
        ),
        "error_mm": Figure("mean distance of a mark, mm", "Error of a mark", "mm, mean", 3),
        "scale_error": Figure(
            "median error of the ruler's length, %", "Error of the scale", "%, median", 2
        ),
        "failures": Figure(
            "radiographs with a mark off by more than a tenth of the ruler", "Failures",
            "radiographs", 0,
        ),
        "radiographs": Figure("radiographs with both marks", digits=0),
        "error_input_px": Figure("mean distance of a mark, px of the model's input"),
        "scale_error_p95": Figure("95th percentile of it, %"),
        "swaps": Figure("radiographs with the marks exchanged", digits=0),
        **{
            f"error_px_{name}": Figure(f"{text} of the distance, px of the radiograph")
            for name, (text, _) in STATISTICS.items()
        },
        **{
            f"within_{limit:g}{unit}": Figure(f"fraction of marks within {limit:g} {UNITS[unit]}")
            for unit, limits in WITHIN.items() for limit in limits
        },
    }  # fmt: skip
    shown_columns = {
        "radiograph": Column("Radiograph", numbers=False),
        "p1_error_px": Column("p1 error, px", digits=2),
        "p2_error_px": Column("p2 error, px", digits=2),
        "p1_error_mm": Column("p1 error, mm", digits=3),
        "p2_error_mm": Column("p2 error, mm", digits=3),
        "scale_error_percent": Column("Scale error, %", digits=2),
        "true_distance_px": Column("Ruler, px", digits=1),
    }
    worst_by = "p1_error_px"
    table_file = "films.csv"
    sheet_file = "worst_radiographs.jpg"

    def __init__(
        self, ruler_mm: float = 10.0, mm_per_px: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("ruler_mm", ruler_mm), ("mm_per_px", mm_per_px)):
            if value is not None and not value > 0:
                raise ValueError(f"expected {name} above 0, got {value}")
        self.ruler_mm = ruler_mm
        self.mm_per_px = mm_per_px

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each radiograph's prediction and ground truth."""
        for sample in data_samples:
            gt = np.asarray(sample["raw_ann_info"]["keypoints"], float).reshape(-1, 3)
            prediction = sample["pred_instances"]
            if len(gt) != 2:
                raise ValueError(
                    f"expected the two marks p1 and p2, the data set has {len(gt)} keypoints; "
                    "use KeypointMetric"
                )
            self.results.append(
                dict(
                    radiograph=Path(sample["img_path"]).name,
                    path=sample["img_path"],
                    mark=sample.get("mark"),
                    predicted=np.asarray(prediction["keypoints"], float)[0],
                    scores=np.asarray(prediction["keypoint_scores"], float)[0],
                    gt=gt[:, :2],
                    labelled=gt[:, 2] > 0,
                    input_px_per_px=float(sample["input_size"][0] / sample["input_scale"][0]),
                    spacing_mm=sample.get("pixel_spacing_mm"),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Sum up over all radiographs."""
        whole = [radiograph for radiograph in _radiographs(results) if radiograph["labelled"].all()]
        if not whole:
            raise ValueError(
                f"expected radiographs with both marks labelled, none of {len(results)} has; see "
                "tools/check_annotations_quality.py"
            )
        table = self._table(whole)
        metrics = summarise(table)
        self.publish(table, f"ruler marks\n{format_summary(metrics)}")
        return metrics

    def summary(self) -> str:
        """Mean, median, extremes and failures, a line each."""
        return "" if self.table is None else format_summary(summarise(self.table))

    def _table(self, results: list[dict]) -> pd.DataFrame:
        """One row a radiograph, in the order of the data set."""
        predicted, gt, scores = (
            np.stack([result[key] for result in results]) for key in ("predicted", "gt", "scores")
        )
        error_px, distance_px = radial_errors(predicted, gt), mark_distance(gt)
        ruler = self.mm_per_px or self.ruler_mm / distance_px
        stated = np.array([result["spacing_mm"] or np.nan for result in results], float)
        mm_per_px = np.where(np.isnan(stated), ruler, stated)
        input_px_per_px = np.array([result["input_px_per_px"] for result in results])
        table = pd.DataFrame({"radiograph": [row["radiograph"] for row in results]})
        for index, mark in enumerate(MARKS):
            table[f"{mark}_error_px"] = error_px[:, index]
            table[f"{mark}_error_input_px"] = error_px[:, index] * input_px_per_px
            table[f"{mark}_error_mm"] = error_px[:, index] * mm_per_px
            table[f"{mark}_score"] = scores[:, index]
            table[[f"{mark}_x", f"{mark}_y"]] = predicted[:, index]
            table[[f"{mark}_true_x", f"{mark}_true_y"]] = gt[:, index]
        return table.assign(
            distance_px=mark_distance(predicted),
            true_distance_px=distance_px,
            scale_error_percent=100 * scale_errors(predicted, gt),
            swapped=order_swaps(predicted, gt),
            failed=failures(predicted, gt),
            path=[row["path"] for row in results],
        )

    @classmethod
    def ranked(cls, table: pd.DataFrame) -> list[Example]:
        """List the radiographs by their worse mark, best first."""
        largest = table[[f"{mark}_error_px" for mark in MARKS]].max(axis=1)
        rows = table.loc[largest.sort_values(kind="stable").index]
        return [
            Example(
                f"p1 {row['p1_error_px']:.1f} px, p2 {row['p2_error_px']:.1f} px, "
                f"scale off by {row['scale_error_percent']:.1f} %",
                path=str(row["path"]),
                draw=partial(draw_radiograph, row),
            )
            for _, row in rows.iterrows()
        ]


def _radiographs(results: list[dict]) -> list[dict]:
    """Put results of single marks together: one a radiograph, in their order."""
    radiographs: dict[str | int, dict] = {}
    for number, result in enumerate(results):
        mark = result["mark"]
        key = number if mark is None else result["path"]
        radiograph = radiographs.setdefault(key, dict(result))
        if radiograph["mark"] != mark:
            for key in ("predicted", "scores"):
                radiograph[key] = radiograph[key].copy()
                radiograph[key][mark] = result[key][mark]
    return list(radiographs.values())


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """The metrics of :class:`RulerMetric` from its table."""
    errors = {
        unit: table[[f"p1_error_{unit}", f"p2_error_{unit}"]].to_numpy()
        for unit in ("input_px", "px", "mm")
    }
    scale = table["scale_error_percent"].to_numpy()
    return {
        "radiographs": float(len(table)),
        **{f"error_{unit}": float(error.mean()) for unit, error in errors.items()},
        **{f"error_px_{name}": float(of(errors["px"])) for name, (_, of) in STATISTICS.items()},
        **{
            f"within_{limit:g}{unit}": float((errors[unit] <= limit).mean())
            for unit, limits in WITHIN.items()
            for limit in limits
        },
        "scale_error": float(np.median(scale)),
        "scale_error_p95": float(np.percentile(scale, 95)),
        "swaps": float(table["swapped"].sum()),
        "failures": float(table["failed"].sum()),
    }


def format_summary(metrics: dict[str, float]) -> str:
    """The metrics as a few lines to read."""
    return SUMMARY.format(**metrics)
