"""Sections of a report on any test: key figures, the table of metrics, pictures one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from equikpt.report.evaluation import Evaluation, overall
from equikpt.report.html.examples import GROUPS, Picture
from equikpt.report.html.markup import (
    MISSING,
    Column,
    Section,
    folded,
    number,
    shortened,
    sortable_table,
    tell,
    tile,
)
from equikpt.report.reliability import RIGHT_WITHIN

COCO = re.compile(r"(?:coco/)?(AP|AR)(?: (.+))?")
COCO_ROWS = {
    "": "0.50 to 0.95",
    ".5": "0.50",
    ".75": "0.75",
    "(M)": "0.50 to 0.95, area 32² to 96² px²",
    "(L)": "0.50 to 0.95, area above 96² px²",
}
MOST_ROWS = 300
"""Of a table of pictures: the first of its order."""
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
    "pointing/going_recall": "share of the other steps that went on",
    "pixel/AP": "average precision of single points, mean over the distances",
}
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


def key_figures(evaluation: Evaluation, more: str = "") -> str:
    """Tiles of what matters most.

    Args:
        evaluation: Of the test.
        more: Tiles to add.
    """
    tiles = [
        tile(title, number(evaluation.metrics[name], digits), below)
        for name, (title, below, digits) in TILES.items()
        if name in evaluation.metrics
    ]
    if evaluation.parts is not None:
        tiles += _keypoint_tiles(overall(evaluation.parts))
    return f"<div class=tiles>{''.join(tiles)}{more}</div>" if tiles or more else ""


def _keypoint_tiles(row: pd.Series) -> list[str]:
    right = f"PCK@{RIGHT_WITHIN:g}"
    interval = _interval(row, "median_error_px", 1)
    tiles = [
        tile("Median error", f"{row['median_error_px']:.1f} px", f"95 %: {interval}"),
        tile("Mean error", f"{100 * row['error']:.1f} %", "of the box's longer side"),
    ]
    if right in row:
        interval = _interval(row, right, 1, 100)
        value = f"{100 * row[right]:.1f} %"
        tiles.insert(0, tile(f"Points right ({right})", value, f"95 %: {interval}"))
    if math.isfinite(row["swapped"]):
        interval = _interval(row, "swapped", 1, 100)
        value = f"{100 * row['swapped']:.1f} %"
        tiles.append(tile("Sides exchanged", value, f"95 %: {interval}"))
    return tiles


def _interval(row: pd.Series, name: str, digits: int, scale: float = 1) -> str:
    low, high = (scale * row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return f"{low:.{digits}f} – {high:.{digits}f}" if math.isfinite(low) else MISSING


def scores(evaluation: Evaluation) -> Section:
    """The table of AP and every other metric."""
    coco = {name: value for name, value in evaluation.metrics.items() if COCO.fullmatch(name)}
    others = {name: value for name, value in evaluation.metrics.items() if name not in coco}
    html = _coco_table(coco) + _metric_table(others, evaluation)
    labels, checkpoint = Path(evaluation.labels).name, Path(evaluation.checkpoint).name
    tells = f"{checkpoint} on {len(evaluation.samples)} samples of {labels}."
    return Section("scores", "Scores", tell(tells) + html)


def _coco_table(metrics: dict[str, float]) -> str:
    """AP and AR side by side, by similarity and size."""
    if not metrics:
        return ""
    below = f"<p class=where>{MISSING}: no instance of this size</p>"
    found = {
        match.groups(): value
        for name, value in metrics.items()
        if (match := COCO.fullmatch(name)) is not None
    }
    suffixes = list(dict.fromkeys(suffix or "" for _, suffix in found))
    rows = ""
    for suffix in suffixes:
        values = (found.get((kind, suffix or None)) for kind in ("AP", "AR"))
        cells = "".join(f"<td class=number>{_coco_value(value)}</td>" for value in values)
        rows += f"<tr><th scope=row>{escape(COCO_ROWS.get(suffix, suffix))}</th>{cells}</tr>"
    return (
        '<div class="box wide fit"><table class=plain><thead><tr>'
        "<th scope=col>Object similarity (COCO)</th>"
        "<th scope=col class=number>AP</th><th scope=col class=number>AR</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>" + (below if -1 in metrics.values() else "")
    )


def _coco_value(value: float | None) -> str:
    """COCO says −1 where there is no instance of a size."""
    return number(None if value is not None and value < 0 else value, 3)


def _metric_table(metrics: dict[str, float], evaluation: Evaluation) -> str:
    if not metrics:
        return ""
    row = overall(evaluation.parts) if evaluation.parts is not None else None
    lines = ""
    for name, value in metrics.items():
        scale, unit = (100, " %") if name in PERCENT else (1, "")
        digits = 1 if unit else _digits(name, value)
        interval = MISSING
        key = name.rpartition("/")[2]
        if row is not None and name.startswith("keypoint/") and f"{key}_low" in row:
            interval = _interval(row, key, digits, scale)
        lines += (
            f"<tr><th scope=row>{escape(name)}</th>"
            f"<td class=number>{number(scale * value, digits)}{unit}</td>"
            + (f"<td class='number where'>{interval}</td>" if row is not None else "")
            + f"<td class='where wraps'>{escape(_meaning(name))}</td></tr>"
        )
    middle = "<th scope=col class=number>95 % interval</th>" if row is not None else ""
    return (
        '<div class="box wide below" role=region tabindex=0 aria-label="Metrics">'
        "<table><thead><tr><th scope=col>Metric</th>"
        f"<th scope=col class=number>Value</th>{middle}<th scope=col>Meaning</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
    )


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


def picture_cards(pictures: Sequence[Picture], unread: int, tells: str) -> Section:
    """The drawn pictures by group.

    Args:
        pictures: Group by group.
        unread: How many could not be read, or were not to be.
        tells: How to read them.
    """
    titles = {
        "worst": "Worst",
        "median": "Around the median",
        "best": "Best",
        "sample": "A selection",
    }
    html = tell(tells) if pictures else ""
    if unread:
        html += (
            f"<p class=note>{unread} pictures could not be read, or lie outside of the folder of "
            "images, and are left out.</p>"
        )
    for group in GROUPS:
        cards = "".join(_figure(picture) for picture in pictures if picture.group == group)
        if cards:
            title = f"<h3 class=group>{titles[group]}</h3>"
            html += f"{title}<div class=pictures>{cards}</div>"
    return Section("pictures", "Pictures", html)


def _figure(picture: Picture) -> str:
    alt = f"Truth and prediction of {picture.name}: {picture.told}"
    return (
        f'<figure><img src="{picture.uri}" alt="{escape(alt)}"><figcaption>{escape(picture.told)}'
        f"<span class=where>{escape(shortened(picture.name))}</span></figcaption></figure>"
    )


def by_picture(evaluation: Evaluation) -> Section:
    """A sortable table of single films or pictures, where the metric makes one."""
    for name, columns, order in (
        ("LandmarkError", FILM_COLUMNS, "p1_error_px"),
        ("PointingMetric", POINTING_COLUMNS, "duplicates"),
    ):
        table = evaluation.tables.get(name)
        if table is not None:
            chosen = table[list(columns)].sort_values(order, ascending=False).head(MOST_ROWS)
            rows = chosen.astype(object).to_numpy().tolist()
            html = sortable_table("Single pictures", list(columns.values()), rows)
            return Section("single", "One by one", folded(html, len(chosen), len(table)))
    return Section("types", "Types of points", _type_table(evaluation))


def _type_table(evaluation: Evaluation) -> str:
    """The rows of ``KeypointPixelAP``, one a type of point."""
    table = evaluation.tables.get("KeypointPixelAP")
    if table is None:
        return ""
    columns = [Column(str(name), numbers=name != "keypoint", digits=3) for name in table]
    columns[1] = Column("points")
    return sortable_table("Types of points", columns, table.astype(object).to_numpy().tolist())
