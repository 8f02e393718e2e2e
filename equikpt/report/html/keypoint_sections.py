"""Sections of a report on poses that are matched one by one: keypoints, errors, scores, sides."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.evaluation.functional.keypoint_errors import SWAP_THRESHOLD
from equikpt.report import breakdown
from equikpt.report.evaluation import Evaluation
from equikpt.report.html.document import embedded_json
from equikpt.report.html.markup import (
    Column,
    Section,
    box,
    card,
    folded,
    number,
    shortened,
    sort_button,
    sortable_table,
    tell,
    tile,
)
from equikpt.report.html.plots import reliability_chart, spread_chart
from equikpt.report.html.score_sections import MOST_ROWS
from equikpt.report.reliability import RIGHT_WITHIN, Reliability, reliability

MOST_GROUPS = 60
"""Of the choice of parts: those with the most labelled points."""
PART_TITLES = {"all": "all points", "hidden": "hidden points", "seen": "seen points"}
MEASURES: dict[str, tuple[str, float, int, float]] = {
    # column: title, scale, digits, end of the axis (0: by the values)
    "AP": ("AP", 1, 3, 1),
    "error": ("Error, %", 100, 1, 0),
    "error_px": ("Mean, px", 1, 1, 0),
    "median_error_px": ("Median, px", 1, 1, 0),
    "swapped": ("Exchanged, %", 100, 1, 0),
}


def by_keypoint(evaluation: Evaluation) -> Section:
    """The dot plot and table of keypoints, which sorts, and filters by part."""
    parts = evaluation.parts
    if parts is None:
        return Section("keypoints", "Keypoints", "")
    measures = _measures(parts)
    data = dict(measures=measures, parts=_part_rows(parts, [m["name"] for m in measures]))
    options = "".join(
        f'<option value="{index}">{escape(part["label"])}</option>'
        for index, part in enumerate(data["parts"])
    )
    choices = "".join(
        f'<option value="{m["index"]}"{" selected" if m["name"] == "error" else ""}>'
        f"{escape(m['title'])}</option>"
        for m in measures
    )
    heads = (
        sort_button("Keypoint", "pin")
        + sort_button("Points", "number")
        + "<th scope=col class=plot aria-sort=none><button type=button id=plot-title>Plot</button>"
        + "<div id=plot-axis></div></th>"
        + "<th scope=col class=number>95 % interval</th>"
        + "".join(sort_button(m["title"], "number") for m in measures)
    )
    table = (
        f"<table class=sortable id=keypoints-table><thead><tr>{heads}</tr></thead>"
        "<tbody class=total></tbody><tbody class=rows></tbody></table>"
    )
    tells = (
        "Error is the distance from the truth by the longer side of the box; AP is COCO's of the "
        "keypoint alone; PCK@t is the share of points within t of the longer side. "
        "Bars are 95 % intervals of the bootstrap over "
        + ("groups." if "group" in set(parts["part"]) else "pictures.")
        + _unlabelled(parts)
    )
    return Section(
        "keypoints",
        "Keypoints",
        f"{tell(tells)}<div class=controls><label>Show <select id=part>{options}</select></label>"
        f"<label>Plot <select id=measure>{choices}</select></label></div>"
        f"{box('Keypoints', table)}<noscript>{tell('This table is filled by a script.')}</noscript>"
        f"{embedded_json('parts-data', data)}",
    )


def _unlabelled(parts: pd.DataFrame) -> str:
    """A sentence on the keypoints that the table leaves out."""
    whole = parts[parts["part"] == "all"]
    names = whole.loc[whole["labelled"] == 0, "keypoint"].tolist()
    return f" Labelled nowhere and left out: {', '.join(names)}." if names else ""


def _measures(parts: pd.DataFrame) -> list[dict]:
    """The columns to show, for the page's script."""
    names = [name for name in map(str, parts) if f"{name}_low" in parts]
    shown = [name for name in names if parts[name].notna().any()]
    found = []
    for index, name in enumerate(shown):
        title, scale, digits, top = MEASURES.get(name, (name, 1, 3, 1))
        found.append(dict(name=name, index=index, title=title, scale=scale, digits=digits, top=top))
    return found


def _part_rows(parts: pd.DataFrame, names: list[str]) -> list[dict]:
    """Each part's rows, the one over all keypoints last; empty parts are left out."""
    found = []
    kinds = parts[["part", "name"]].drop_duplicates().itertuples(index=False)
    for part, name in ((str(part), str(name)) for part, name in kinds):
        rows = parts[(parts["part"] == part) & (parts["name"] == name)]
        labelled = int(rows["labelled"].iloc[-1])
        if labelled:
            label = f"group {name}" if part == "group" else PART_TITLES[name or part]
            found.append((part == "group", -labelled, label, rows))
    groups = sorted((each for each in found if each[0]), key=lambda each: each[1])[:MOST_GROUPS]
    chosen = [each for each in found if not each[0]] + groups
    return [
        dict(
            label=label,
            rows=[
                dict(
                    name=str(row["keypoint"]),
                    labelled=int(row["labelled"]),
                    values=[_triple(row, name) for name in names],
                )
                for _, row in rows[rows["labelled"] > 0].iterrows()
            ],
        )
        for _, _, label, rows in chosen
    ]


def _triple(row: pd.Series, name: str) -> list[float | None]:
    """Value, lower and upper end as they are shown; None for what is not there."""
    scale = MEASURES.get(name, ("", 1, 0, 0))[1]
    values = (scale * row[column] for column in (name, f"{name}_low", f"{name}_high"))
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]


def errors(evaluation: Evaluation) -> Section:
    """The error by size, visibility and score, on one scale."""
    pose = evaluation.poses()
    charts = [
        ("By size: square root of the area, px", breakdown.by_size(pose)),
        ("By visibility", breakdown.by_visibility(pose)),
        ("By score", breakdown.by_score(pose)),
    ]
    high = max((part.high for _, parts in charts for part in parts), default=1.0)
    cards = "".join(card(title, spread_chart(title, parts, high)) for title, parts in charts)
    tells = (
        "Distance from the truth, % of the box's longer side: the dot is the median, the bar goes "
        "from the first to the third quartile; n is the number of labelled points."
    )
    return Section("errors", "Where the errors are", f"{tell(tells)}<div class=cards>{cards}</div>")


def confidence_of(evaluation: Evaluation) -> Reliability:
    """Scores against what is right, over all labelled points."""
    pose = evaluation.poses()
    error = breakdown.error_fractions(pose)
    right = np.where(np.isfinite(error), error <= RIGHT_WITHIN, np.nan)
    return reliability(pose.scores, right)


def confidence_tile(found: Reliability) -> str:
    """The calibration error as a key figure."""
    return tile("Calibration error", number(found.expected_calibration_error, 3), _direction(found))


def confidence(found: Reliability) -> Section:
    """The reliability diagram and what it says."""
    outside = (
        f" {found.outside} scores were below 0 or above 1 and count as 0 or 1."
        if found.outside
        else ""
    )
    tells = (
        f"A point is right within {RIGHT_WITHIN:g} of the longer side of the box. Each dot is a "
        "bin of scores, with a 95 % interval (Wilson); on the dashed line the score is the share "
        "that is right. Gray columns: how many points have such a score." + outside
    )
    gap = f"{found.overconfidence:+.3f}".replace("-", "−")
    told = (
        f"Expected calibration error {found.expected_calibration_error:.3f}: the mean distance of "
        f"score and share right, over {found.counts.sum()} points in {len(found.counts)} bins. "
        f"The model is {_direction(found)}: mean score minus share right is {gap}."
    )
    chart = card("Share right by score", reliability_chart(found))
    words = card("What it says", f"<p>{escape(told)}</p>")
    return Section(
        "confidence", "Confidence", f"{tell(tells)}<div class=cards>{chart}{words}</div>"
    )


def _direction(found: Reliability) -> str:
    if abs(found.overconfidence) < 0.02:
        return "neither over- nor underconfident"
    return "overconfident" if found.overconfidence > 0 else "underconfident"


def sides(evaluation: Evaluation) -> Section:
    """How often left and right were exchanged, by pair of keypoints."""
    names, swap = evaluation.names, evaluation.meta["flip_indices"]
    pairs = breakdown.by_pair(evaluation.poses(), names, swap)
    if not pairs:
        return Section("sides", "Left and right", "")
    columns = [
        Column("Pair", numbers=False),
        Column("Instances"),
        Column("First at second's"),
        Column("Second at first's"),
        Column("Both at once"),
        Column("Exchanged, %", digits=1),
    ]
    rows: list[list[str | float | None]] = [
        [" / ".join(pair.names), pair.tried, *pair.exchanged, pair.both, 100 * pair.share]
        for pair in pairs
    ]
    tells = (
        f"A point is exchanged where it misses its own place by more than {SWAP_THRESHOLD:g} of "
        "the box's longer side and lies within it of the other side's. Counted are instances with "
        "both points labelled."
    )
    return Section(
        "sides", "Left and right", tell(tells) + sortable_table("Left and right", columns, rows)
    )


def by_instance(evaluation: Evaluation) -> Section:
    """A sortable table of single instances, worst first."""
    found = breakdown.by_instance(evaluation.poses(), evaluation.meta["flip_indices"])[::-1]
    columns = [
        Column("Picture", numbers=False),
        Column("Points"),
        Column("Right"),
        Column("Error, %", digits=1),
        Column("Exchanged"),
        Column("Score", digits=2),
        Column("Size, px"),
    ]
    rows: list[list[str | float | None]] = [
        [
            shortened(Path(evaluation.samples[each.index].picture).name),
            *(each.points, each.right, 100 * each.error, each.exchanged, each.score, each.size_px),
        ]
        for each in found[:MOST_ROWS]
    ]
    table = sortable_table("Single instances", columns, rows)
    return Section("single", "One by one", folded(table, len(rows), len(found)))
