"""Sections of a report on poses that are matched one by one: keypoints, errors, scores, sides."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equikpt.evaluation.functional.keypoint_errors import SWAP_THRESHOLD
from equikpt.evaluation.presentation import Column, number
from equikpt.report import breakdown
from equikpt.report.evaluation import Evaluation
from equikpt.report.html.charts import reliability_chart, spread_chart
from equikpt.report.html.render import Section, Table, Tile, shortened
from equikpt.report.html.score_sections import MAX_ROWS, images, scores
from equikpt.report.reliability import RIGHT_WITHIN, Reliability, reliability

MAX_GROUPS = 60
"""Choices of a group, those with the most labelled points."""
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
PAIR_COLUMNS = (
    Column("Pair", numbers=False),
    Column("Instances"),
    Column("First at second's"),
    Column("Second at first's"),
    Column("Both at once"),
    Column("Inverted, %", digits=1),
)
INSTANCE_COLUMNS = (
    Column("Image", numbers=False),
    Column("Points"),
    Column("Right"),
    Column("Error, %", digits=1),
    Column("Inverted"),
    Column("Score", digits=2),
    Column("Size, px"),
)


def pose_sections(evaluation: Evaluation, max_image_bytes: int) -> list[Section]:
    """List the sections of a test whose samples are one instance each."""
    sections = [scores(evaluation)]
    if evaluation.parts is not None:
        sections.append(_by_keypoint(evaluation.parts))
    sections += [_errors(evaluation), _confidence(_reliability_of(evaluation))]
    sections += [*_sides(evaluation), *images(evaluation, max_image_bytes, POSES)]
    return [*sections, _by_instance(evaluation)]


def calibration_tile(evaluation: Evaluation) -> Tile:
    """Show the calibration error as a key figure."""
    found = _reliability_of(evaluation)
    return Tile("Calibration error", number(found.expected_calibration_error, 3), _direction(found))


def _by_keypoint(parts: pd.DataFrame) -> Section:
    """Dot plot and table of keypoints, which sorts, and filters by part."""
    measures = _measures(parts)
    told = (
        "Error is the distance from the ground truth by the longer side of the box; AP is COCO's "
        "of the keypoint alone; PCK@t is the share of points within t of the longer side. "
        "Bars are 95 % intervals of the bootstrap over "
        + ("groups." if "group" in set(parts["part"]) else "images.")
        + _unlabelled(parts)
    )
    data = dict(measures=measures, parts=_part_rows(parts, [m["name"] for m in measures]))
    return Section("keypoints", "Keypoints", "keypoints", dict(told=told, data=data))


def _unlabelled(parts: pd.DataFrame) -> str:
    """Name the keypoints that the table leaves out."""
    whole = parts[parts["part"] == "all"]
    names = whole.loc[whole["labelled"] == 0, "keypoint"].tolist()
    return f" Labelled nowhere and left out: {', '.join(names)}." if names else ""


def _measures(parts: pd.DataFrame) -> list[dict[str, Any]]:
    """Columns to show, for the page's script."""
    names = [name for name in map(str, parts) if f"{name}_low" in parts]
    shown = [name for name in names if parts[name].notna().any()]
    found = []
    for index, name in enumerate(shown):
        title, scale, digits, top = MEASURES.get(name, (name, 1, 3, 1))
        found.append(dict(name=name, index=index, title=title, scale=scale, digits=digits, top=top))
    return found


def _part_rows(parts: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Rows of each part, the one over all keypoints last; empty parts are left out."""
    found = []
    kinds = parts[["part", "name"]].drop_duplicates().itertuples(index=False)
    for part, name in ((str(part), str(name)) for part, name in kinds):
        rows = parts[(parts["part"] == part) & (parts["name"] == name)]
        labelled = int(rows["labelled"].iloc[-1])
        if labelled:
            label = f"group {name}" if part == "group" else PART_TITLES[name or part]
            found.append((part == "group", -labelled, label, rows))
    groups = sorted((each for each in found if each[0]), key=lambda each: each[1])[:MAX_GROUPS]
    chosen = [each for each in found if not each[0]] + groups
    return [
        dict(
            label=label,
            rows=[
                dict(
                    name=str(row["keypoint"]),
                    labelled=int(row["labelled"]),
                    values=[_interval_of(row, name) for name in names],
                )
                for _, row in rows[rows["labelled"] > 0].iterrows()
            ],
        )
        for _, _, label, rows in chosen
    ]


def _interval_of(row: pd.Series, name: str) -> list[float | None]:
    """Value, lower and upper end as they are shown; None for what is missing."""
    scale = MEASURES.get(name, ("", 1, 0, 0))[1]
    values = (scale * row[column] for column in (name, f"{name}_low", f"{name}_high"))
    return [round(float(value), 4) if math.isfinite(value) else None for value in values]


def _errors(evaluation: Evaluation) -> Section:
    """Error by size, visibility and score, on one scale."""
    pose = evaluation.poses()
    parts = [
        ("By size: square root of the area, px", breakdown.by_size(pose)),
        ("By visibility", breakdown.by_visibility(pose)),
        ("By score", breakdown.by_score(pose)),
    ]
    high = max((each.high for _, spreads in parts for each in spreads), default=1.0)
    told = (
        "Distance from the ground truth, % of the box's longer side: the dot is the median, the "
        "bar goes from the first to the third quartile; n is the number of labelled points."
    )
    charts = [spread_chart(title, spreads, high) for title, spreads in parts]
    return Section("errors", "Where the errors are", "charts", dict(charts=charts, told=told))


def _reliability_of(evaluation: Evaluation) -> Reliability:
    """Compare scores with correctness over all labelled points."""
    pose = evaluation.poses()
    error = breakdown.error_fractions(pose)
    right = np.where(np.isfinite(error), error <= RIGHT_WITHIN, np.nan)
    return reliability(pose.scores, right)


def _confidence(found: Reliability) -> Section:
    """Reliability diagram and its meaning in words."""
    outside = (
        f" {found.outside} scores were below 0 or above 1 and count as 0 or 1."
        if found.outside
        else ""
    )
    told = (
        f"A point is right within {RIGHT_WITHIN:g} of the longer side of the box. Each dot is a "
        "bin of scores, with a 95 % interval (Wilson); on the dashed line the score is the share "
        "that is right. Gray columns: how many points have such a score." + outside
    )
    gap = f"{found.overconfidence:+.3f}".replace("-", "−")
    verdict = (
        f"Expected calibration error {found.expected_calibration_error:.3f}: the mean distance of "
        f"score and share right, over {found.counts.sum()} points in {len(found.counts)} bins. "
        f"The model is {_direction(found)}: mean score minus share right is {gap}."
    )
    content = dict(told=told, chart=reliability_chart(found), verdict=verdict)
    return Section("confidence", "Confidence", "confidence", content)


def _direction(found: Reliability) -> str:
    if abs(found.overconfidence) < 0.02:
        return "neither over- nor underconfident"
    return "overconfident" if found.overconfidence > 0 else "underconfident"


def _sides(evaluation: Evaluation) -> list[Section]:
    """Left–right inversions by pair of keypoints; nothing without pairs."""
    pairs = breakdown.by_pair(evaluation.poses(), evaluation.names, evaluation.meta["flip_indices"])
    told = (
        f"A point is inverted where it misses its own place by more than {SWAP_THRESHOLD:g} of "
        "the box's longer side and lies within it of the other side's. Counted are instances with "
        "both points labelled."
    )
    rows: list[list[str | float | None]] = [
        [" / ".join(pair.names), pair.tried, *pair.exchanged, pair.both, 100 * pair.share]
        for pair in pairs
    ]
    table = Table("Left and right", PAIR_COLUMNS, rows)
    section = Section("sides", "Left and right", "table", dict(table=table, told=told))
    return [section] if pairs else []


def _by_instance(evaluation: Evaluation) -> Section:
    """Sortable table of instances, worst first."""
    found = breakdown.by_instance(evaluation.poses(), evaluation.meta["flip_indices"])[::-1]
    rows: list[list[str | float | None]] = [
        [
            shortened(Path(evaluation.samples[each.index].image).name),
            *(each.points, each.right, 100 * each.error, each.exchanged, each.score, each.size_px),
        ]
        for each in found[:MAX_ROWS]
    ]
    table = Table("Single instances", INSTANCE_COLUMNS, rows, len(found))
    return Section("single", "One by one", "table", dict(table=table))
