"""Sections of a report on any test: key figures, the table of metrics, images one by one."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from equikpt.report.evaluation import Evaluation, overall
from equikpt.report.html.examples import GROUPS, draw_images
from equikpt.report.html.render import MISSING, Column, Section, Table, Tile, number
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
COUNTED = ("landmark/films", "landmark/swaps", "landmark/failures", "pointing/pictures")
PERCENT = ("keypoint/error", "keypoint/swapped")
STATISTICS = dict(median="median", min="smallest", max="largest", std="standard deviation")
MEANINGS = {
    "keypoint/error": "mean distance from the truth, % of the box's longer side",
    "keypoint/error_px": "mean distance, px of the picture",
    "keypoint/median_error_px": "median distance, px of the picture",
    "keypoint/swapped": "found at the other side's place, % of points with both sides labelled",
    "landmark/films": "films with both marks",
    "landmark/error_input_px": "mean distance of a mark, px of the model's input",
    "landmark/error_px": "mean distance of a mark, px of the film",
    "landmark/error_mm": "mean distance of a mark, mm",
    "landmark/scale_error": "median error of the ruler's length, %",
    "landmark/scale_error_p95": "95th percentile of it, %",
    "landmark/swaps": "films with the marks exchanged",
    "landmark/failures": "films with a mark off by more than a tenth of the ruler",
    "pointing/precision": "share of points that were matched with a thing, within a radius",
    "pointing/recall": "share of things that were matched",
    "pointing/F1": "harmonic mean of both",
    "pointing/count_MAE": "mean error of the count",
    "pointing/count_RMSE": "root mean square error of the count",
    "pointing/error_px": "mean distance of matched points, px of the input",
    "pointing/error_px_median": "median of it",
    "pointing/duplicates": "share of points on a thing that another has marked",
    "pointing/done_precision": "share of the steps that said done at which all was found",
    "pointing/done_recall": "share of the steps at which all was found that said done",
    "pointing/not_done_recall": "share of the other steps that went on",
    "pixel/AP": "average precision of single points, mean over the distances",
}
FILMS = (
    "Ground truth green, prediction red, the surroundings of the ruler. Ranked by the worse mark."
)
OTHERS = "Left the ground truth, right the prediction."
TILES = {
    "coco/AP": ("AP", "COCO, object similarity", 3),
    "landmark/error_px": ("Error of a mark", "px of the film, mean", 2),
    "landmark/error_mm": ("Error of a mark", "mm, mean", 3),
    "landmark/scale_error": ("Error of the scale", "%, median", 2),
    "landmark/failures": ("Failures", "films", 0),
    "pointing/F1": ("F1", "of points", 3),
    "pointing/count_MAE": ("Error of the count", "mean", 2),
    "pointing/precision": ("Precision", "of points", 3),
    "pointing/recall": ("Recall", "of points", 3),
    "pixel/AP": ("AP", "of single points", 3),
}
FILM_COLUMNS = {
    "film": Column("Film", numbers=False),
    "p1_error_px": Column("p1 error, px", digits=2),
    "p2_error_px": Column("p2 error, px", digits=2),
    "p1_error_mm": Column("p1 error, mm", digits=3),
    "p2_error_mm": Column("p2 error, mm", digits=3),
    "scale_error_percent": Column("Scale error, %", digits=2),
    "true_distance_px": Column("Ruler, px", digits=1),
}
POINTING_COLUMNS = {
    "picture": Column("Picture", numbers=False),
    "true": Column("Things"),
    "predicted": Column("Points"),
    "matched": Column("Matched"),
    "duplicates": Column("Duplicates"),
}


def tiles_of(evaluation: Evaluation) -> list[Tile]:
    """List the key figures of a test."""
    tiles = [
        Tile(title, number(evaluation.metrics[name], digits), below)
        for name, (title, below, digits) in TILES.items()
        if name in evaluation.metrics
    ]
    if evaluation.parts is not None:
        tiles += _keypoint_tiles(overall(evaluation.parts))
    return tiles


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
    told = FILMS if "LandmarkError" in evaluation.tables else OTHERS
    cards = images(evaluation, max_image_bytes, told)
    return [scores(evaluation), *cards, *_by_image(evaluation)]


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
        scale, unit = (100, " %") if name in PERCENT else (1, "")
        digits = 1 if unit else _digits(name, value)
        interval = MISSING
        key = name.rpartition("/")[2]
        if row is not None and name.startswith("keypoint/") and f"{key}_low" in row:
            interval = _interval(row, key, digits, scale)
        rows.append((name, number(scale * value, digits) + unit, interval, _meaning(name)))
    return rows


def _digits(name: str, value: float) -> int:
    if name in COUNTED:
        return 0
    return 3 if abs(value) < 10 else 1


def _meaning(name: str) -> str:
    if found := re.fullmatch(r"keypoint/PCK@([\d.]+)", name):
        return f"share of points within {found[1]} of the box's longer side"
    if found := re.fullmatch(r"landmark/error_px_(?:(median|min|max|std)|p(\d+))", name):
        statistic = STATISTICS.get(found[1], f"{found[2]}th percentile")
        return f"{statistic} of the distance, px of the film"
    if found := re.fullmatch(r"landmark/within_([\d.]+)(px|mm)", name):
        unit = "px of the film" if found[2] == "px" else "mm"
        return f"share of marks within {found[1]} {unit}"
    return MEANINGS.get(name, "")


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


def _by_image(evaluation: Evaluation) -> list[Section]:
    """Sortable table of single images, where the metric makes one."""
    for name, columns, order in (
        ("LandmarkError", FILM_COLUMNS, "p1_error_px"),
        ("PointingMetric", POINTING_COLUMNS, "duplicates"),
    ):
        found = evaluation.tables.get(name)
        if found is not None:
            chosen = found[list(columns)].sort_values(order, ascending=False).head(MAX_ROWS)
            rows = chosen.astype(object).to_numpy().tolist()
            table = Table("Single images", list(columns.values()), rows, len(found))
            return [Section("single", "One by one", "table", dict(table=table))]
    found = evaluation.tables.get("KeypointPixelAP")
    if found is None:
        return []
    kinds = [Column(str(name), numbers=name != "keypoint", digits=3) for name in found]
    kinds[1] = Column("points")
    table = Table("Types of points", kinds, found.astype(object).to_numpy().tolist())
    return [Section("types", "Types of points", "table", dict(table=table))]
