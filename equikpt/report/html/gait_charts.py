"""Charts of a trial's gait: symmetry of its strides, and mean angles over the stride."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.columns import number
from equikpt.gait.analysis import MIN_STRIDES, GaitReport, mean_curve
from equikpt.gait.angles import LIMB, PHASES
from equikpt.gait.symmetry import PARTS
from equikpt.report.html.charts import COLOURS, QUIET, Canvas, Chart

ENDS = ("min", "max")
"""Ends of a part's letters that are drawn: MinDiff and MaxDiff."""
DRIFT = 0.3
"""Half the width over which strides are drawn in their order."""
LEFT, RIGHT = COLOURS[:2]
JOINT_TITLES = {LIMB: "limb to the vertical, forward positive"}
PAIRS = {"f": "fore", "h": "hind"}


def symmetry_charts(report: GaitReport) -> Iterator[Chart]:
    """Draw MinDiff and MaxDiff of each part: strides, their mean with its interval, thresholds."""
    for part, row in PARTS.items():
        found = {
            f"{row.letters}{end}": [
                (each.stride, float(each.values[0]))
                for each in report.measures
                if (each.part, each.name) == (part, f"{row.letters}{end}")
            ]
            for end in ENDS
        }
        if any(found.values()):
            threshold = row.threshold_mm if report.traces.unit == "mm" else None
            yield _symmetry_chart(report, part, found, threshold)


def _symmetry_chart(
    report: GaitReport,
    part: str,
    found: dict[str, list[tuple[int, float]]],
    threshold: float | None,
) -> Chart:
    canvas, unit, said = Canvas(), report.traces.unit, []
    axes, last = canvas.axes, max(1, len(report.strides) - 1)
    axes.axhline(0, color=QUIET, linewidth=1)
    for line in () if threshold is None else (threshold, -threshold):
        axes.axhline(line, color=QUIET, linewidth=1, linestyle="--")
    for place, (name, strides) in enumerate(found.items()):
        for stride, value in strides:
            gid = canvas.tip(f"{name}, stride {stride + 1}: {value:.1f} {unit}")
            x = place + DRIFT * (2 * stride / last - 1)
            axes.plot([x], [value], "o", markersize=4, alpha=0.5, color=COLOURS[1], gid=gid)
        mean = next(each for each in report.values if (each.part, each.name) == (part, name))
        if np.isnan(mean.mean):
            said.append(f"{name}: {mean.remark}")
            continue
        interval = f"{mean.mean:.1f} {unit} ({mean.low:.1f} to {mean.high:.1f})"
        gid = canvas.tip(f"{name}, mean of {mean.count} strides: {interval}")
        canvas.dot_on_bar(place, mean.mean, (mean.low, mean.high), gid)
        said.append(f"{name} {interval}")
    axes.set_xticks(range(len(found)), list(found))
    axes.set(xlim=(-0.5, len(found) - 0.5), ylabel=unit)
    axes.yaxis.label.set_color(QUIET)
    axes.grid(visible=False, axis="x")
    lines = f" Dashed: ± {threshold:g} mm." if threshold is not None else ""
    description = f"{part}: MinDiff and MaxDiff of each stride, with their means"
    return Chart(part.capitalize(), canvas.svg(description), "; ".join(said) + "." + lines)


def angle_charts(report: GaitReport) -> Iterator[Chart]:
    """Draw the mean angle of each joint over the stride, left against right, ± SD of strides."""
    for pair, title in PAIRS.items():
        joints = dict.fromkeys(joint for limb, joint in report.curves if limb[1] == pair)
        for joint in joints:
            canvas, said = Canvas(), []
            for side, colour in (("l", LEFT), ("r", RIGHT)):
                curves = report.curves.get((f"{side}{pair}", joint))
                if curves is None or len(curves.strides) < MIN_STRIDES:
                    continue
                mean, sd = mean_curve(curves, report.options.level)[:2]
                percent, name = 100 * PHASES, "left" if side == "l" else "right"
                canvas.axes.fill_between(percent, mean - sd, mean + sd, color=colour, alpha=0.2,
                                         linewidth=0)  # fmt: skip
                canvas.axes.plot(percent, mean, color=colour, linewidth=1.8)
                extent = number(float(np.ptp(mean)), 0)
                said.append(f"{name}: {len(curves.strides)} strides, range {extent}°")
            if said:
                canvas.axes.set(xlim=(0, 100), xlabel="% of the stride, from hoof-on of the limb")
                name = JOINT_TITLES.get(joint, joint)
                text = f"{title} {name}: mean angle in degrees over the stride, left and right"
                heading = f"{title} {name}, degrees"
                yield Chart(heading.capitalize(), canvas.svg(text), "; ".join(said))
