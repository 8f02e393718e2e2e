"""Charts as inline SVG in the colours of the page's theme, which a plotting library's would not be.

A chart is ``WIDTH`` × ``HEIGHT`` px and scales with its box. The classes ``series-0`` to
``series-4`` have their colours from the page's style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

from equikpt.report.breakdown import Spread
from equikpt.report.reliability import Reliability

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 36
MOST_POINTS = 300
"""Of a line: more are averaged in as many bins."""
SERIES = 5
LOG_FROM_RATIO = 30
"""Of the largest to the smallest value, from which on a chart of positive values is logarithmic."""


@dataclass(frozen=True)
class Line:
    """One curve.

    Args:
        name: For the legend.
        x: (N,) rising.
        y: (N,)
        dots: Whether each value is marked, as for validations.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    dots: bool = False


@dataclass(frozen=True)
class Chart:
    """Chart as HTML, empty where there is nothing to draw."""

    title: str
    html: str


@dataclass(frozen=True)
class _Axis:
    """From values to px: linear or logarithmic, with its ticks."""

    low: float
    high: float
    begin_px: float
    end_px: float
    log: bool
    ticks: tuple[float, ...]

    def px(self, value: float) -> float:
        low, high, at = (np.log10(v) if self.log else v for v in (self.low, self.high, value))
        return float(self.begin_px + (at - low) / (high - low) * (self.end_px - self.begin_px))


def line_chart(title: str, lines: Sequence[Line], x_title: str, best: int | None = None) -> Chart:
    """Curves over the course of a run.

    Args:
        title: Of the chart, for those who do not see it, too.
        lines: Those without a finite value are left out.
        x_title: Below the axis.
        best: Index of the first line's value to ring.
    """
    drawn = [_thinned(line) for line in lines if np.isfinite(line.y).any()]
    if not drawn:
        return Chart(title, "")
    x = _axis(np.concatenate([line.x for line in drawn]), LEFT, WIDTH - RIGHT, nice=False)
    y = _axis(np.concatenate([line.y for line in drawn]), HEIGHT - BOTTOM, TOP)
    marks = [_grid(x, y), _x_title(x_title)]
    for number, line in enumerate(drawn):
        there = np.isfinite(line.y)
        points = [(x.px(a), y.px(b)) for a, b in zip(line.x[there], line.y[there], strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        marks.append(f'<polyline class="line series-{number % SERIES}" points="{path}"/>')
        if line.dots:
            marks += [
                f'<circle class="dot series-{number % SERIES}" cx="{a:.1f}" cy="{b:.1f}" r="2.5">'
                f"<title>{escape(x_title)} {at:g}: {value:.4g}</title></circle>"
                for (a, b), at, value in zip(points, line.x[there], line.y[there], strict=True)
            ]
    if best is not None and lines:
        at = x.px(float(lines[0].x[best])), y.px(float(lines[0].y[best]))
        marks.append(f'<circle class="ring" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="6"/>')
    scale = " Logarithmic scale." if y.log else ""
    told = f"{title} by {x_title}: {', '.join(line.name for line in drawn)}.{scale}"
    html = _svg(told, marks) + _legend([line.name for line in drawn])
    if best is not None:
        value = f"best {lines[0].y[best]:.4g} at {x_title} {lines[0].x[best]:g}"
        html += f"<p class=where>{escape(value)}</p>"
    return Chart(title, Markup(html))


def spread_chart(title: str, parts: Sequence[Spread], high: float) -> Chart:
    """Quartiles of the error of some parts side by side, the median as a dot.

    Args:
        title: For those who do not see it.
        parts: Side by side, errors as fractions.
        high: Upper end of the axis, as a fraction, the same for charts to compare.
    """
    y = _axis(np.array([0.0, 100 * high]), HEIGHT - BOTTOM, TOP)
    step_px = (WIDTH - LEFT - RIGHT) / max(len(parts), 1)
    marks = [_grid(None, y, " %")]
    for index, row in enumerate(parts):
        at = LEFT + (index + 0.5) * step_px
        low_px, middle_px, high_px = (y.px(100 * v) for v in (row.low, row.median, row.high))
        told = (
            f"{row.part}: median {100 * row.median:.1f} %, quartiles {100 * row.low:.1f} and "
            f"{100 * row.high:.1f} %, {row.points} points, {100 * row.right:.0f} % right"
        )
        marks.append(
            f"<g><title>{escape(told)}</title>"
            f'<line class="range series-0" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{low_px:.1f}" y2="{high_px:.1f}"/>'
            f'<circle class="dot series-0" cx="{at:.1f}" cy="{middle_px:.1f}" r="4.5"/></g>'
        )
        marks.append(_text(at, HEIGHT - BOTTOM + 15, row.part, "middle"))
        marks.append(_text(at, HEIGHT - BOTTOM + 29, f"n = {row.points}", "middle", "quiet"))
    return Chart(title, Markup(_svg(f"{title}: quartiles of the error by part", marks)))


def reliability_chart(found: Reliability) -> Chart:
    """Share right by score, with Wilson's intervals, over the line of a calibrated model."""
    x = _axis(np.array([0.0, 1.0]), LEFT, WIDTH - RIGHT)
    y = _axis(np.array([0.0, 1.0]), HEIGHT - BOTTOM, TOP)
    marks = [
        _grid(x, y),
        _x_title("score"),
        f'<line class="ideal" x1="{x.px(0):.1f}" y1="{y.px(0):.1f}" '
        f'x2="{x.px(1):.1f}" y2="{y.px(1):.1f}"/>',
    ]
    low, high = found.interval()
    largest = max(int(found.counts.max()), 1)
    for index in np.flatnonzero(found.counts):
        count, at = int(found.counts[index]), x.px(found.confidence[index])
        told = (
            f"score {found.edges[index]:.1f} to {found.edges[index + 1]:.1f}: {count} points, mean "
            f"score {found.confidence[index]:.2f}, right {found.accuracy[index]:.2f}"
        )
        left, right = (x.px(edge) for edge in found.edges[index : index + 2])
        bar_px = 0.25 * (HEIGHT - TOP - BOTTOM) * count / largest
        marks.append(
            f"<g><title>{escape(told)}</title>"
            f'<rect class="bar" x="{left + 1:.1f}" y="{HEIGHT - BOTTOM - bar_px:.1f}" '
            f'width="{right - left - 2:.1f}" height="{bar_px:.1f}"/>'
            f'<line class="range series-0" x1="{at:.1f}" x2="{at:.1f}" '
            f'y1="{y.px(low[index]):.1f}" y2="{y.px(high[index]):.1f}"/>'
            f'<circle class="dot series-0" cx="{at:.1f}" '
            f'cy="{y.px(found.accuracy[index]):.1f}" r="4"/></g>'
        )
    told = "Reliability diagram: share of points that is right, by score"
    return Chart("Share right by score", Markup(_svg(told, marks)))


def _thinned(line: Line) -> Line:
    if len(line.x) <= MOST_POINTS:
        return line
    pieces = np.array_split(np.arange(len(line.x)), MOST_POINTS)
    x, y = (np.array([values[piece].mean() for piece in pieces]) for values in (line.x, line.y))
    return Line(line.name, x, y, line.dots)


def _axis(values: np.ndarray, begin_px: float, end_px: float, nice: bool = True) -> _Axis:
    """An axis that holds all values; logarithmic where they span far; ``nice`` ends on ticks."""
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    log = nice and low > 0 and high / low >= LOG_FROM_RATIO
    if log:
        ticks = np.asarray(LogLocator(numticks=6).tick_values(low, high))
        ticks = ticks[(ticks >= 0.99 * low) & (ticks <= 1.01 * high)]
        low, high = 0.9 * low, 1.1 * high
    else:
        if high - low < 1e-12:
            low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
        locator = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10])
        ticks = np.asarray(locator.tick_values(low, high))
        if nice:
            low, high = min(low, ticks[0]), max(high, ticks[-1])
        ticks = ticks[(ticks >= low) & (ticks <= high)]
    return _Axis(low, high, begin_px, end_px, log, tuple(ticks.tolist()))


def _grid(x: _Axis | None, y: _Axis, unit: str = "") -> str:
    """Lines and numbers of the ticks."""
    marks = []
    for tick in y.ticks:
        at = y.px(tick)
        marks.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        marks.append(_text(LEFT - 6, at + 4, _number(tick, y.log) + unit, "end"))
    for tick in x.ticks if x is not None else ():
        marks.append(_text(x.px(tick) if x else 0, HEIGHT - BOTTOM + 15, _number(tick), "middle"))
    base = HEIGHT - BOTTOM
    marks.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    return "".join(marks)


def _number(value: float, log: bool = False) -> str:
    """Of a tick: short, ``1e-3`` on logarithmic axes."""
    if value == 0 or abs(value) >= (1e-2 if log else 1e-3):
        return f"{value:g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _x_title(text: str) -> str:
    return _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, text, "middle", "quiet")


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    classes = f' class="{kind}"' if kind else ""
    return f'<text{classes} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(told: str, marks: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(told)}">{"".join(marks)}</svg>'
    )


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    entries = "".join(
        f'<span><i class="series-{index % SERIES}"></i>{escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return f'<p class="legend">{entries}</p>'
