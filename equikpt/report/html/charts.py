"""Charts drawn by matplotlib: PNG for a file, inline SVG in the colours of the page's theme.

Figures are built without pyplot: no window, no backend to choose, no state between two of them.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from equikpt.evaluation.functional.reliability import Reliability

GROUND, TEXT, QUIET, GRID = "#ffffff", "#1c1c1a", "#5f5f5a", "#d9d9d4"
COLOURS = ("#2a78c2", "#d9622b", "#2f9e5f", "#b0479c", "#8a7a1f", "#6a6ad8", "#c23b4e", "#3a9aa0")
"""Colours of lines, legible on a light and on a dark ground."""
THEME = {GROUND: "--card", TEXT: "--text", QUIET: "--quiet", GRID: "--line"} | {
    colour: f"--s{index}" for index, colour in enumerate(COLOURS)
}
"""CSS variables of the pages, which take the place of these colours in an SVG."""
SVG_INCHES = (5.0, 3.2)
PNG_INCHES = (6.0, 3.3)
"""Size of one panel."""
PNG_COLUMNS = 2
PNG_DPI = 110
LOG_RANGE = 20.0
"""Times its smallest value from which a panel has a logarithmic axis."""
FEW_DECADES = 1e3
"""Ratio of the ends of a logarithmic axis up to which 2 and 5 have ticks as well."""
MAX_POINTS = 1000
"""Points of one line: more are not seen, and would fill the page."""
STYLE: Any = {
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib; pages have their own
    "svg.fonttype": "none",  # text stays text, in the page's font
    "svg.hashsalt": "equikpt",
    "text.parse_math": False,  # names may hold a $
}


@dataclass(frozen=True)
class Line:
    """One line of a panel, with (N,) values."""

    label: str
    x: np.ndarray  # epochs, steps or hours
    y: np.ndarray  # NaN leaves a gap
    colour: int = 0  # index of one of the house colours
    is_marked: bool = False  # each value, where there are few
    raw: np.ndarray | None = None  # values before smoothing, drawn faintly behind
    best: int | None = None  # index of the value to point out


@dataclass(frozen=True)
class Panel:
    """Lines, at least one, over one axis."""

    title: str  # quantity of y, with its unit
    x_label: str
    lines: tuple[Line, ...]
    events: tuple[float, ...] = ()  # where on x something began: a start, a phase
    from_zero: bool = False  # a linear axis from zero on, for parts of a whole


@dataclass(frozen=True)
class Chart:
    """Chart of a page: heading, inline SVG that is safe to embed, and a sentence below it."""

    title: str
    html: Markup
    below: str = ""


def panel_chart(panel: Panel) -> Chart:
    """Draw a panel for a page; single values of few can be read by pointing at them."""
    canvas = Canvas()
    _draw_panel(canvas.axes, panel, canvas)
    scale = " Logarithmic scale." if canvas.axes.get_yscale() == "log" else ""
    names = ", ".join(line.label for line in panel.lines)
    best = [(line.x[line.best], line.y[line.best]) for line in panel.lines if line.best is not None]
    at = panel.x_label.removesuffix("s")
    below = f"best {best[0][1]:.4g} at {at} {best[0][0]:g}" if len(best) == 1 else ""
    return Chart(
        panel.title, canvas.svg(f"{panel.title} by {panel.x_label}: {names}.{scale}"), below
    )


def spread_chart(title: str, parts: pd.DataFrame, high: float) -> Chart:
    """Draw the quartiles of the error of some parts side by side, the median as a dot.

    Args:
        title: Heading.
        parts: A table of :func:`.breakdown.spreads`.
        high: Upper end of the axis, as a fraction, the same for charts to compare.
    """
    canvas, names = Canvas(), []
    for index, row in enumerate(parts.to_dict("records")):
        name, points, right = row["part"], row["points"], 100 * row["right"]
        low, median, top = (100 * row[quartile] for quartile in ("low", "median", "high"))
        names.append(f"{name}\nn = {points}")
        gid = canvas.tip(
            f"{name}: median {median:.1f} %, quartiles {low:.1f} and {top:.1f} %, {points} points, "
            f"{right:.0f} % right"
        )
        canvas.dot_on_bar(index, median, (low, top), gid)
    axes = canvas.axes
    axes.set_xticks(range(len(names)), names)
    axes.set(xlim=(-0.5, max(len(names), 1) - 0.5), ylim=(0, 105 * high))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g} %"))
    axes.grid(visible=False, axis="x")
    return Chart(title, canvas.svg(f"{title}: quartiles of the error by part"))


def reliability_chart(found: Reliability) -> Chart:
    """Draw the fraction right by score, with Wilson's intervals, over a calibrated model's line."""
    canvas = Canvas()
    canvas.axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    for row in found.bins.to_dict("records"):
        left, end, count, right = row["left"], row["right_end"], row["points"], row["right"]
        gid = canvas.tip(
            f"score {left:.1f} to {end:.1f}: {count} points, mean score {row['score']:.2f}, right "
            f"{right:.2f}"
        )
        height = 0.25 * count / found.bins["points"].max()
        canvas.axes.bar((left + end) / 2, height, 0.95 * (end - left), color=GRID, gid=gid)
        canvas.dot_on_bar(row["score"], right, (row["low"], row["high"]), gid)
    canvas.axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score")
    description = "Reliability diagram: fraction of points that is right, by score"
    return Chart("Fraction right by score", canvas.svg(description))


def png_bytes(panels: Sequence[Panel], title: str = "") -> bytes:
    """Draw all panels, row by row, as a PNG file.

    Raises:
        ValueError: No panel.
    """
    if not panels:
        raise ValueError(
            "expected a run that has logged something to draw curves of, found no row; wait for "
            "the first, or lower LoggerHook's interval"
        )
    columns = min(PNG_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        size = (PNG_INCHES[0] * columns, PNG_INCHES[1] * rows)
        figure = Figure(figsize=size, layout="constrained", facecolor=GROUND)
        if title:
            figure.suptitle(title, color=TEXT)
        for number, panel in enumerate(panels, 1):
            axes = _styled(figure.add_subplot(rows, columns, number))
            axes.set_title(panel.title, color=TEXT, fontsize=10, loc="left")
            _draw_panel(axes, panel)
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=PNG_DPI)
    return file.getvalue()


def _styled(axes: Axes) -> Axes:
    axes.set_facecolor(GROUND)
    axes.set_axisbelow(True)
    axes.tick_params(colors=TEXT, which="both")
    axes.grid(color=GRID, linewidth=0.6)
    axes.xaxis.label.set_color(QUIET)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    return axes


class Canvas:
    """A figure for a page: its axes, and the texts to show at its marks."""

    def __init__(self) -> None:
        self._tips: list[str] = []
        with matplotlib.rc_context(STYLE):
            self._figure = Figure(figsize=SVG_INCHES, layout="constrained", facecolor=GROUND)
            self.axes = _styled(self._figure.add_subplot())

    def tip(self, text: str) -> str:
        """Name for an artist at which the text is shown."""
        self._tips.append(text)
        return f"tip{len(self._tips) - 1}"

    def dot_on_bar(self, x: float, y: float, ends: tuple[float, float], gid: str) -> None:
        """Draw a value with the ends of its interval."""
        line: Any = dict(color=COLOURS[0], gid=gid)
        self.axes.plot([x, x], ends, linewidth=3, alpha=0.55, solid_capstyle="round", **line)
        self.axes.plot([x], [y], "o", markersize=7, **line)

    def svg(self, description: str) -> Markup:
        """The figure as an element of a page, with a description for a screen reader."""
        file = io.StringIO()
        with matplotlib.rc_context(STYLE):
            metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            self._figure.savefig(file, format="svg", metadata=metadata)
        svg = file.getvalue()
        inner = svg[svg.index(">", svg.index("<svg")) + 1 :]
        inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", inner, flags=re.DOTALL)
        inner = inner.replace("xlink:href", "href")
        inner = re.sub(
            r'<g id="tip(\d+)">',
            lambda found: f"<g><title>{escape(self._tips[int(found[1])])}</title>",
            inner,
        )
        inner = re.sub(r'<g id="[^"]*">', "<g>", inner)
        inner = re.sub(
            r"(?<=: )#[0-9a-f]{6}\b",
            lambda found: f"var({THEME[found[0]]})" if found[0] in THEME else found[0],
            inner,
        )
        width, height = (72 * inches for inches in SVG_INCHES)
        head = f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="'
        return Markup(f'{head}{escape(description)}">{inner}')


def _draw_panel(axes: Axes, panel: Panel, canvas: Canvas | None = None) -> None:
    values = np.concatenate([line.y for line in panel.lines])
    finite = values[np.isfinite(values)]
    is_wide = finite.size and finite.min() > 0 and finite.max() > LOG_RANGE * finite.min()
    with matplotlib.rc_context(STYLE):
        is_only = sum(line.best is not None for line in panel.lines) == 1
        for line in panel.lines:
            _draw_line(axes, line, panel.x_label, is_only, canvas)
        for x in panel.events:
            axes.axvline(x, color=TEXT, linewidth=0.8, linestyle=":", alpha=0.6)
        if panel.from_zero:
            axes.set_ylim(bottom=0)
        elif is_wide:
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            ticks = (1, 2, 5) if high < FEW_DECADES * low else (1,)
            axes.yaxis.set_major_locator(LogLocator(subs=ticks))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        if panel.x_label != "hours":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(panel.x_label)
        if len(panel.lines) > 1:
            axes.legend(fontsize=9, facecolor=GROUND, edgecolor=GRID, labelcolor=TEXT)


def _draw_line(
    axes: Axes, line: Line, x_label: str, has_value: bool, canvas: Canvas | None
) -> None:
    colour = COLOURS[line.colour % len(COLOURS)]
    dashed = "--" if line.colour >= len(COLOURS) else "-"
    keep = slice(None, None, max(1, math.ceil(len(line.x) / MAX_POINTS)))
    x, y = line.x[keep], line.y[keep]
    if line.raw is not None:
        axes.plot(x, line.raw[keep], color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(x, y, color=colour, linewidth=1.6, linestyle=dashed, label=line.label)
    for at, value in zip(x, y, strict=True) if line.is_marked else ():
        gid = canvas and canvas.tip(f"{x_label.removesuffix('s')} {at:g}: {value:.4g}")
        axes.plot([at], [value], "o", markersize=3, color=colour, gid=gid)
    if line.best is not None:
        at, value = line.x[line.best], line.y[line.best]
        axes.plot([at], [value], "*", markersize=11, color=colour, markeredgecolor=TEXT)
        if has_value:
            style: Any = dict(xytext=(4, 6), textcoords="offset points", fontsize=9, color=TEXT)
            axes.annotate(f"{value:.4g}", (at, value), **style)
