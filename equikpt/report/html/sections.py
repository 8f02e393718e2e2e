"""Sections of a report on a test: names of macros of ``sections.html.j2`` and their content."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equikpt.core.columns import MISSING, Column, number
from equikpt.evaluation.functional.keypoint_errors import SWAP_THRESHOLD
from equikpt.evaluation.functional.keypoint_measures import PosePredictions, with_untrained_marked
from equikpt.evaluation.functional.reliability import SCORE_BINS, Reliability, reliability
from equikpt.evaluation.functional.uncertainty import TOLERANCE
from equikpt.evaluation.presentation import Figure, Presented, figure_of, presented
from equikpt.report import breakdown
from equikpt.report.breakdown import RIGHT_WITHIN
from equikpt.report.evaluation import Evaluation, overall
from equikpt.report.html.charts import (
    Line,
    Panel,
    panel_chart,
    reliability_chart,
    spread_chart,
)
from equikpt.report.html.examples import GROUPS, draw_images
from equikpt.report.html.render import shortened

MAX_ROWS = 300
"""Rows of a table of images, the first of its order."""
MAX_GROUPS = 60
"""Choices of a group, those with the most labelled points."""
COCO = re.compile(r"(?:coco/)?(AP|AR)(?: (.+))?")
COCO_ROWS = {
    None: "0.50 to 0.95",
    ".5": "0.50",
    ".75": "0.75",
    "(M)": "0.50 to 0.95, area 32² to 96² px²",
    "(L)": "0.50 to 0.95, area above 96² px²",
}
COCO_AP = Figure("", "AP", "COCO, object similarity", 3)
PART_TITLES = {"all": "all points", "hidden": "occluded points", "seen": "visible points"}
MEASURES: dict[str, tuple[str, float, int, float]] = {
    # column: title, scale, digits, end of the axis (0: by the values)
    "AP": ("AP", 1, 3, 1),
    "error": ("Error, %", 100, 1, 0),
    "error_px": ("Mean, px", 1, 1, 0),
    "median_error_px": ("Median, px", 1, 1, 0),
    "swapped": ("Inverted, %", 100, 1, 0),
}
POSES = (
    "Left the ground truth, right the prediction, with lines from the true to the predicted "
    "points. Hollow points are occluded or uncertain. Ranked by the mean error over labelled "
    "points, among instances with at least half as many labels as the most labelled."
)
PAIR_COLUMNS = {
    "pair": Column("Pair", numbers=False),
    "tried": Column("Instances"),
    "first": Column("First at second's"),
    "second": Column("Second at first's"),
    "both": Column("Both at once"),
    "percent": Column("Inverted, %", digits=1),
}
INSTANCE_COLUMNS = {
    "image": Column("Image", numbers=False),
    "points": Column("Points"),
    "right": Column("Right"),
    "percent": Column("Error, %", digits=1),
    "inverted": Column("Inverted"),
    "score": Column("Score", digits=2),
    "size_px": Column("Size, px"),
}

Tile = tuple[str, str, str]
"""Key figure: title, value and the line below it."""
Section = tuple[str, dict[str, Any]]
"""Name of the anchor and of the macro, and the macro's content."""


def tested_sections(
    evaluation: Evaluation, max_image_bytes: int
) -> tuple[list[Tile], list[Section]]:
    """Key figures and sections of a test, with all about keypoints where samples are poses."""
    shown = {"coco/AP": COCO_AP} | {
        f"{metric.default_prefix}/{name}": figure
        for metric in presented().values()
        for name, figure in metric.figures.items()
        if figure.title
    }
    tiles = [
        (figure.title, number(value, figure.decimals(value)), figure.below)
        for name, figure in shown.items()
        if (value := evaluation.metrics.get(name)) is not None
    ]
    scores = ("scores", _scores(evaluation))
    if evaluation.parts is None:
        metrics = [presented()[name] for name in evaluation.tables if name in presented()]
        legends = (each.legend for each in metrics if each.legend != Presented.legend)
        images = _images(evaluation, max_image_bytes, next(legends, Presented.legend))
        return tiles, [scores, *images, *_tables(evaluation)]
    pose, swap = evaluation.poses(), evaluation.meta["flip_indices"]
    calibration = reliability(
        pose.scores, breakdown.within_tolerance(pose, evaluation.meta["sigmas"])
    )
    tiles += _keypoint_tiles(overall(evaluation.parts))
    error = evaluation.metrics.get("uncertainty/ECE", calibration.expected_calibration_error)
    tiles.append(("Calibration error", number(error, 3), _direction(calibration)))
    pairs = breakdown.by_pair(pose, evaluation.names, swap)
    sides = dict(table=_table("Left and right", PAIR_COLUMNS, pairs), within=SWAP_THRESHOLD)
    found = breakdown.by_instance(pose, swap)[::-1]
    files = [shortened(Path(evaluation.samples[index].image).name) for index in found.index]
    found = found.assign(image=files, percent=100 * found["error"])
    single = _table("Single instances", INSTANCE_COLUMNS, found, len(found))
    return tiles, [
        scores,
        ("keypoints", _keypoints(evaluation.parts)),
        ("errors", _errors(pose)),
        ("confidence", _confidence(calibration, error)),
        *_radii(evaluation, pose),
        *([("sides", sides)] if len(pairs) else []),
        *_images(evaluation, max_image_bytes, POSES),
        *_tables(evaluation),
        ("single", dict(title="One by one", table=single)),
    ]


def primary_names() -> list[str]:
    """List the values that runs are judged by, COCO's first."""
    metrics = [each for each in presented().values() if each.primary]
    return ["coco/AP", *(f"{each.default_prefix}/{each.primary}" for each in metrics)]


def _keypoint_tiles(row: pd.Series) -> list[Tile]:
    def percent(title: str, name: str) -> Tile:
        value, interval = f"{100 * row[name]:.1f} %", _interval(row, name, 1, 100)
        return (title, value, f"95 %: {interval}")

    right, median = f"PCK@{RIGHT_WITHIN:g}", f"{row['median_error_px']:.1f} px"
    tiles = [
        ("Median error", median, f"95 %: {_interval(row, 'median_error_px', 1)}"),
        ("Mean error", f"{100 * row['error']:.1f} %", "of the box's longer side"),
    ]
    if right in row:
        tiles.insert(0, percent(f"Points right ({right})", right))
    if math.isfinite(row["swapped"]):
        tiles.append(percent("Left–right inversions", "swapped"))
    return tiles


def _interval(row: pd.Series, name: str, digits: int, scale: float = 1) -> str:
    low, high = (scale * row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return f"{low:.{digits}f} – {high:.{digits}f}" if math.isfinite(low) else MISSING


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    """Table of AP and every other metric."""
    row = overall(evaluation.parts) if evaluation.parts is not None else None
    coco: dict[str | None, dict[str, float | None]] = {}
    rows = []
    for name, value in evaluation.metrics.items():
        if match := COCO.fullmatch(name):  # −1 without instances of a size
            coco.setdefault(match[2], {})[match[1]] = None if value < 0 else value
            continue
        figure, key = figure_of(name), name.rpartition("/")[2]
        digits, scale = figure.decimals(value), figure.scale
        interval = MISSING
        if row is not None and name.startswith("keypoint/") and f"{key}_low" in row:
            interval = _interval(row, key, digits, scale)
        rows.append((name, number(scale * value, digits) + figure.unit, interval, figure.meaning))
    return dict(
        checkpoint=Path(evaluation.checkpoint).name,
        labels=Path(evaluation.labels).name,
        samples=len(evaluation.samples),
        coco=[
            (COCO_ROWS.get(suffix, suffix), [values.get(kind) for kind in ("AP", "AR")])
            for suffix, values in coco.items()
        ],
        has_empty_bin=any(None in values.values() for values in coco.values()),
        metrics=rows,
        has_intervals=row is not None,
    )


def _keypoints(parts: pd.DataFrame) -> dict[str, Any]:
    """Dot plot and table of keypoints, which the page's script sorts, and filters by part."""
    with_interval = [name for name in map(str, parts) if f"{name}_low" in parts]
    names = [name for name in with_interval if parts[name].notna().any()]
    columns = {name: MEASURES.get(name, (name, 1, 3, 1)) for name in names}
    measures = [
        dict(name=name, index=index, title=title, scale=scale, digits=digits, top=top)
        for index, (name, (title, scale, digits, top)) in enumerate(columns.items())
    ]

    def values(row: pd.Series, name: str) -> list[float | None]:
        """Value, lower and upper end as they are shown; None for what is missing."""
        found = (columns[name][1] * row[key] for key in (name, f"{name}_low", f"{name}_high"))
        return [round(float(value), 4) if math.isfinite(value) else None for value in found]

    whole: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    untrained: list[str] = []
    if "trained" in parts:
        untrained = parts["keypoint"][~parts["trained"]].unique().tolist()
    marked = with_untrained_marked(parts)
    for (part, name), rows in marked.groupby(["part", "name"], sort=False):
        labelled = rows[rows["labelled"] > 0]  # the row over all keypoints is the last
        shown = [
            dict(
                name=str(row["keypoint"]),
                labelled=int(row["labelled"]),
                values=[values(row, measure) for measure in names],
            )
            for _, row in labelled.iterrows()
        ]
        if shown and part == "group":
            groups.append(dict(label=f"group {name}", rows=shown))
        elif shown:
            whole.append(dict(label=PART_TITLES[str(name or part)], rows=shown))
    groups.sort(key=lambda group: -group["rows"][-1]["labelled"])
    nowhere = (parts["part"] == "all") & (parts["labelled"] == 0)
    nowhere &= ~parts["keypoint"].isin(untrained)
    return dict(
        clusters="groups" if "group" in set(parts["part"]) else "images",
        unlabelled=parts.loc[nowhere, "keypoint"].tolist(),
        untrained=untrained,
        data=dict(measures=measures, parts=whole + groups[:MAX_GROUPS]),
    )


def _errors(pose: PosePredictions) -> dict[str, Any]:
    """Error by size, visibility and score, on one scale."""
    titles = dict(
        size="By size: square root of the area, px", visibility="By visibility", score="By score"
    )
    parts = breakdown.spreads(pose)
    tops = [float(part["high"].max()) for part in parts.values() if len(part)]
    high = max(tops, default=1.0)
    return dict(charts=[spread_chart(title, parts[name], high) for name, title in titles.items()])


def _confidence(found: Reliability, error: float) -> dict[str, Any]:
    return dict(
        oks=TOLERANCE,
        outside=found.outside,
        chart=reliability_chart(found),
        error=error,
        points=found.bins["points"].sum(),
        bins=SCORE_BINS,
        direction=_direction(found),
        gap=f"{found.overconfidence:+.3f}".replace("-", "−"),
    )


def _radii(evaluation: Evaluation, pose: PosePredictions) -> list[Section]:
    """Coverage by level, and errors by radius; nothing for a model without radii."""
    coverage = evaluation.tables.get("UncertaintyMetric")
    if coverage is None:
        return []
    level = coverage["level"].to_numpy()
    lines: tuple[Line, ...] = (
        Line("found", level, coverage["coverage"].to_numpy(), is_marked=True),
        Line("as promised", level, level, colour=1),
    )
    charts = [panel_chart(Panel("Points within their radius", "level", lines, from_zero=True))]
    radii = [each.radii[0] for each in evaluation.samples if each.radii]
    if len(radii) == len(evaluation.samples):
        rows = breakdown.by_radius(pose, np.array(radii))
        x = rows["radius_px"].to_numpy()
        lines = (
            Line("90 % of the errors", x, rows["high_px"].to_numpy(), is_marked=True),
            Line("median error", x, rows["median_px"].to_numpy(), 2, is_marked=True),
            Line("the radius", x, x, colour=1),
        )
        charts.append(
            panel_chart(Panel("Error by radius, px", "radius, px", lines, from_zero=True))
        )
    values = {
        name: evaluation.metrics.get(f"uncertainty/{name}")
        for name in ("coverage", "radius_px", "radius_ratio")
    }
    return [("radii", dict(charts=charts, **values))]


def _direction(found: Reliability) -> str:
    if abs(found.overconfidence) < 0.02:
        return "neither over- nor underconfident"
    return "overconfident" if found.overconfidence > 0 else "underconfident"


def _images(evaluation: Evaluation, max_bytes: int, legend: str) -> list[Section]:
    """Drawn images by group; nothing where there are none."""
    drawn, unread = draw_images(evaluation, max_bytes)
    groups = [
        (title, [image for image in drawn if image.group == group])
        for group, title in GROUPS.items()
    ]
    groups = [(title, members) for title, members in groups if members]
    content = dict(groups=groups, unread=unread, legend=legend)
    return [("images", content)] if drawn or unread else []


def _tables(evaluation: Evaluation) -> list[Section]:
    """Sortable tables of the metrics that make one for readers."""
    sections = []
    for name, metric in presented().items():
        found = evaluation.tables.get(name)
        if found is not None and (columns := metric.columns(found)):
            count = len(found) if metric.rows_are_samples else None
            table = _table(metric.table_title, columns, metric.worst(found), count)
            anchor = "single" if metric.rows_are_samples else "types"
            sections.append((anchor, dict(title=metric.table_title, table=table)))
    return sections


def _table(
    label: str, columns: dict[str, Column], rows: pd.DataFrame, count: int | None = None
) -> dict[str, Any]:
    """Sortable table; one with a ``count``, the rows that there are, is folded and cut."""
    shown = rows[list(columns)].astype(object).to_numpy().tolist()
    return dict(label=label, columns=list(columns.values()), rows=shown[:MAX_ROWS], count=count)
