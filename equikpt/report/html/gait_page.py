"""Page of a trial's gait as one HTML file: video or stick figure beside its curves, and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from equikpt.core.columns import Column, number
from equikpt.gait.analysis import GaitReport, TrialValue
from equikpt.gait.classification import UNCLEAR
from equikpt.gait.names import LIMBS
from equikpt.gait.symmetry import OWNERS_HORSES, PARTS, THRESHOLDS_OF
from equikpt.metainfo.horse26 import LINKS
from equikpt.report.html.gait_charts import ENDS, JOINT_TITLES, PAIRS, angle_charts, symmetry_charts
from equikpt.report.html.render import render

TILES: dict[tuple[str, str], str] = {
    ("stride", "duration"): "Stride duration",
    ("stride", "length"): "Stride length",
    ("stride", "speed"): "Speed",
    **{
        (part, f"{row.letters}{end}"): f"{part.capitalize()}, {row.letters}{end}"
        for part, row in PARTS.items()
        for end in ENDS
    },
}
"""Titles of the means that stand above all, by part and name."""
COLUMNS = (
    Column("Measure", numbers=False),
    *map(Column, ("Mean", "Low", "High", "SD", "Strides", "Left out")),
    Column("Unit", numbers=False),
    Column("Remark", numbers=False),
)


def to_html(
    report: GaitReport, name: str, video: str | None = None, tables: Sequence[str] = ()
) -> str:
    """Render the page.

    Args:
        report: Of the trial.
        name: Of the trial.
        video: Address of its video from the page's folder, whose frames have the table's times;
            None draws a stick figure.
        tables: Names of the CSV files beside the page.
    """
    level = f"{100 * report.options.level:g} %"
    return render(
        "gait.html.j2",
        title=f"{name}: {report.gait}",
        notes=[f"{note[0].upper()}{note[1:]}." for note in report.notes],
        tiles=_tiles(report, level),
        data=trial_data(report, video),
        video=video,
        level=level,
        symmetry=list(symmetry_charts(report)),
        thresholds=_thresholds(report),
        angles=list(angle_charts(report)),
        values=dict(label="Means over the trial", columns=COLUMNS, rows=_rows(report), count=None),
        tables=tables,
    )


def trial_data(report: GaitReport, video: str | None) -> dict[str, Any]:
    """Data of the page's script: lists of rounded numbers, None for what is not known."""
    traces = report.traces
    index = {role: place for place, role in enumerate(traces.roles)}
    digits = 1 if traces.unit == "mm" else 2
    groups = [
        dict(
            title=f"Vertical displacement, {traces.unit}",
            choices=[
                dict(name="", lines=[_line(*each, digits) for each in traces.heights.items()])
            ],
        )
    ]
    for pair, title in PAIRS.items():
        joints = dict.fromkeys(joint for limb, joint in traces.angles if limb[1] == pair)
        choices = [
            dict(
                name=JOINT_TITLES.get(joint, joint),
                lines=[
                    _line(side, traces.angles[f"{side[0]}{pair}", joint], 1)
                    for side in ("left", "right")
                    if (f"{side[0]}{pair}", joint) in traces.angles
                ],
            )
            for joint in joints
        ]
        groups += [dict(title=f"{title.capitalize()} limbs, degrees", choices=choices)] * bool(
            choices
        )
    return dict(
        video=video is not None,
        times=rounded(traces.times_s, 4),
        roles=traces.roles,
        xy=rounded(traces.xy_px.reshape(-1), 1),
        links=[
            [index[each.start], index[each.end]]
            for each in LINKS
            if each.start in index and each.end in index
        ],
        limbs=[limb for limb in LIMBS if limb in traces.stances],
        stances={limb: [rounded(span, 3) for span in s] for limb, s in traces.stances.items()},
        strides=[
            dict(
                number=each.number + 1,
                span=rounded(np.array([each.start_s[0], each.end_s[0]]), 3),
                gait=each.gait,
                footfalls=each.footfalls,
            )
            for each in report.strides
        ],
        groups=groups,
    )


def rounded(values: np.ndarray, digits: int) -> list[float | None]:
    """Values (N,) as JSON numbers; None for NaN."""
    return [None if each != each else each for each in np.round(values, digits).tolist()]


def _line(name: str, values: np.ndarray, digits: int) -> dict[str, Any]:
    return dict(name=name, values=rounded(values, digits))


def _tiles(report: GaitReport, level: str) -> list[tuple[str, str, str]]:
    own = [each for each in report.strides if each.gait == report.gait]
    order = f", {own[0].footfalls}" if own and report.gait != UNCLEAR else ""
    tiles = [("Gait", report.gait, f"{len(own)} of {len(report.strides)} strides{order}")]
    known = {(each.part, each.name): each for each in report.values}
    for key, title in TILES.items():
        each = known.get(key)
        if each is not None and np.isfinite(each.mean):
            digits = _digits(each)
            low, mean, high = (_text(end, digits) for end in (each.low, each.mean, each.high))
            tiles.append((title, f"{mean} {each.unit}".strip(), f"{low} to {high} ({level})"))
    return tiles


def _digits(value: TrialValue) -> int:
    """Decimals that show two digits of the interval's width."""
    width = value.high - value.low
    return int(np.clip(1 - np.floor(np.log10(width)), 0, 4)) if width > 0 else 3


def _text(value: float, digits: int) -> str:
    return number(round(value, digits) + 0.0, digits)  # without a minus before zero


def _thresholds(report: GaitReport) -> list[str]:
    """Sentences on the lines in the charts of symmetry, or on why there are none."""
    stated = [
        f"{row.letters}min and {row.letters}max ± {row.threshold_mm:g} mm"
        for row in PARTS.values()
        if row.threshold_mm is not None
    ]
    source = (
        f"{' and '.join(stated)} are thresholds of {THRESHOLDS_OF}, not of keypoints in a video, "
        f"and passing one is no lameness: {OWNERS_HORSES}. There is none for the withers."
    )
    if report.traces.unit == "mm":
        return [source]
    return [f"No thresholds are drawn: they are in mm, and this trial has no scale. {source}"]


def _rows(report: GaitReport) -> list[list[str | float]]:
    return [
        [
            f"{each.part}, {each.name}",
            *(_text(value, _digits(each)) for value in (each.mean, each.low, each.high, each.sd)),
            each.count,
            each.left_out,
            each.unit,
            each.remark,
        ]
        for each in report.values
    ]
