"""Sections of a report on any test: key figures, the table of metrics, images one by one."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from equikpt.evaluation.presentation import (
    MISSING,
    Figure,
    Presented,
    figure_of,
    number,
    presented,
)
from equikpt.report.evaluation import Evaluation, overall
from equikpt.report.html.examples import GROUPS, draw_images
from equikpt.report.html.render import Section, Table, Tile
from equikpt.report.reliability import RIGHT_WITHIN

COCO = re.compile(r"(?:coco/)?(AP|AR)(?: (.+))?")
COCO_ROWS = {
    "": "0.50 to 0.95",
    ".5": "0.50",
    ".75": "0.75",
    "(M)": "0.50 to 0.95, area 32² to 96² px²",
    "(L)": "0.50 to 0.95, area above 96² px²",
}
MAX_ROWS = 300
"""Rows of a table of images, the first of its order."""
COCO_AP = Figure("", "AP", "COCO, object similarity", 3)


def tiles_of(evaluation: Evaluation) -> list[Tile]:
    """List the key figures of a test."""
    shown = {"coco/AP": COCO_AP} | {
        f"{metric.default_prefix}/{name}": figure
        for metric in presented().values()
        for name, figure in metric.figures.items()
        if figure.title
    }
    tiles = [
        Tile(figure.title, number(value, figure.decimals(value)), figure.below)
        for name, figure in shown.items()
        if (value := evaluation.metrics.get(name)) is not None
    ]
    if evaluation.parts is not None:
        tiles += _keypoint_tiles(overall(evaluation.parts))
    return tiles


def primary_names() -> list[str]:
    """List the values that runs are judged by, COCO's first."""
    metrics = [each for each in presented().values() if each.primary]
    return ["coco/AP", *(f"{each.default_prefix}/{each.primary}" for each in metrics)]


def _keypoint_tiles(row: pd.Series) -> list[Tile]:
    right = f"PCK@{RIGHT_WITHIN:g}"
    interval = _interval(row, "median_error_px", 1)
    tiles = [
        Tile("Median error", f"{row['median_error_px']:.1f} px", f"95 %: {interval}"),
        Tile("Mean error", f"{100 * row['error']:.1f} %", "of the box's longer side"),
    ]
    if right in row:
        interval = _interval(row, right, 1, 100)
        value = f"{100 * row[right]:.1f} %"
        tiles.insert(0, Tile(f"Points right ({right})", value, f"95 %: {interval}"))
    if math.isfinite(row["swapped"]):
        interval = _interval(row, "swapped", 1, 100)
        value = f"{100 * row['swapped']:.1f} %"
        tiles.append(Tile("Left–right inversions", value, f"95 %: {interval}"))
    return tiles


def _interval(row: pd.Series, name: str, digits: int, scale: float = 1) -> str:
    low, high = (scale * row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return f"{low:.{digits}f} – {high:.{digits}f}" if math.isfinite(low) else MISSING


def other_sections(evaluation: Evaluation, max_image_bytes: int) -> list[Section]:
    """List the sections of a test whose samples are no single instances."""
    metrics = [presented()[name] for name in evaluation.tables if name in presented()]
    ranking = (each for each in metrics if each.legend != Presented.legend)
    cards = images(evaluation, max_image_bytes, next(ranking, Presented).legend)
    return [scores(evaluation), *cards, *_tables(evaluation)]


def scores(evaluation: Evaluation) -> Section:
    """Table of AP and every other metric."""
    coco = {
        match.groups(): None if value < 0 else value  # COCO: −1 without instances of a size
        for name, value in evaluation.metrics.items()
        if (match := COCO.fullmatch(name)) is not None
    }
    suffixes = list(dict.fromkeys(suffix for _, suffix in coco))
    labels, checkpoint = Path(evaluation.labels).name, Path(evaluation.checkpoint).name
    content: dict[str, Any] = dict(
        told=f"{checkpoint} on {len(evaluation.samples)} samples of {labels}.",
        coco=[
            (
                COCO_ROWS.get(suffix or "", suffix),
                [coco.get((kind, suffix)) for kind in ("AP", "AR")],
            )
            for suffix in suffixes
        ],
        has_empty_bin=None in coco.values(),
        metrics=_metric_rows(evaluation),
        has_intervals=evaluation.parts is not None,
    )
    return Section("scores", "Scores", "scores", content)


def _metric_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str]]:
    """Name, value, interval and meaning of the metrics that are not COCO's."""
    row = overall(evaluation.parts) if evaluation.parts is not None else None
    rows = []
    for name, value in evaluation.metrics.items():
        if COCO.fullmatch(name):
            continue
        figure = figure_of(name)
        digits, scale = figure.decimals(value), figure.scale
        interval = MISSING
        key = name.rpartition("/")[2]
        if row is not None and name.startswith("keypoint/") and f"{key}_low" in row:
            interval = _interval(row, key, digits, scale)
        shown = number(scale * value, digits) + figure.unit
        rows.append((name, shown, interval, figure.meaning))
    return rows


def images(evaluation: Evaluation, max_bytes: int, told: str) -> list[Section]:
    """Drawn images by group; nothing where there are none.

    Args:
        evaluation: Test.
        max_bytes: Of all images, as base64 text.
        told: Explanation of the drawings.
    """
    drawn, unread = draw_images(evaluation, max_bytes)
    groups = [
        (title, [image for image in drawn if image.group == group])
        for group, title in GROUPS.items()
    ]
    groups = [(title, members) for title, members in groups if members]
    content = dict(groups=groups, unread=unread, told=told)
    return [Section("images", "Images", "images", content)] if drawn or unread else []


def _tables(evaluation: Evaluation) -> list[Section]:
    """Sortable tables of the metrics that make one for readers."""
    sections = []
    for name, metric in presented().items():
        found = evaluation.tables.get(name)
        columns = metric.columns(found) if found is not None else {}
        if found is None or not columns:
            continue
        chosen = metric.worst(found)[list(columns)].head(MAX_ROWS)
        rows = chosen.astype(object).to_numpy().tolist()
        count = len(found) if metric.rows_are_samples else None
        table = Table(metric.table_title, list(columns.values()), rows, count)
        anchor = "single" if metric.rows_are_samples else "types"
        sections.append(Section(anchor, metric.table_title, "table", dict(table=table)))
    return sections
