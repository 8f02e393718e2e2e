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
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from equikpt.report.breakdown import Spread
from equikpt.report.html.curves import Line, Panel
from equikpt.report.reliability import Reliability

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
class Chart:
    """Chart of a page.

    Args:
        title: Heading.
        html: Inline SVG, safe to embed.
        below: Sentence below it.
    """

    title: str
    html: Markup
    below: str = ""


def panel_chart(panel: Panel) -> Chart:
    """Draw a panel for a page; single values of few can be read by pointing at them."""
    figure, axes, tips = _figure()
    _draw_panel(axes, panel, tips)
    scale = " Logarithmic scale." if axes.get_yscale() == "log" else ""
    names = ", ".join(line.label for line in panel.lines)
    best = [(line.x[line.best], line.y[line.best]) for line in panel.lines if line.best is not None]
    at = panel.x_label.removesuffix("s")
    below = f"best {best[0][1]:.4g} at {at} {best[0][0]:g}" if len(best) == 1 else ""
    told = f"{panel.title} by {panel.x_label}: {names}.{scale}"
    return Chart(panel.title, _inline_svg(figure, told, tips), below)


def spread_chart(title: str, parts: Sequence[Spread], high: float) -> Chart:
    """Draw the quartiles of the error of some parts side by side, the median as a dot.

    Args:
        title: Heading.
        parts: Side by side, errors as fractions.
        high: Upper end of the axis, as a fraction, the same for charts to compare.
    """
    figure, axes, tips = _figure()
    for index, part in enumerate(parts):
        tips.append(
            f"{part.part}: median {100 * part.median:.1f} %, quartiles {100 * part.low:.1f} and "
            f"{100 * part.high:.1f} %, {part.points} points, {100 * part.right:.0f} % right"
        )
        ends = (100 * part.low, 100 * part.high)
        _dot_on_bar(axes, index, 100 * part.median, ends, _gid(tips))
    axes.set_xticks(range(len(parts)), [f"{part.part}\nn = {part.points}" for part in parts])
    axes.set_xlim(-0.5, max(len(parts), 1) - 0.5)
    axes.set_ylim(0, 105 * high)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g} %"))
    axes.grid(visible=False, axis="x")
    return Chart(title, _inline_svg(figure, f"{title}: quartiles of the error by part", tips))


def reliability_chart(found: Reliability) -> Chart:
    """Draw the share right by score, with Wilson's intervals, over a calibrated model's line."""
    figure, axes, tips = _figure()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    low, high = found.interval()
    largest = max(int(found.counts.max()), 1)
    for index in np.flatnonzero(found.counts):
        count, (left, right) = int(found.counts[index]), found.edges[index : index + 2]
        confidence, accuracy = found.confidence[index], found.accuracy[index]
        tips.append(
            f"score {left:.1f} to {right:.1f}: {count} points, mean score {confidence:.2f}, right "
            f"{accuracy:.2f}"
        )
        axes.bar(
            (left + right) / 2, 0.25 * count / largest, 0.95 * (right - left), color=GRID,
            gid=_gid(tips),
        )  # fmt: skip
        _dot_on_bar(axes, confidence, accuracy, (low[index], high[index]), _gid(tips))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score")
    told = "Reliability diagram: share of points that is right, by score"
    return Chart("Share right by score", _inline_svg(figure, told, tips))


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
        for place, panel in enumerate(panels, 1):
            axes = _styled(figure.add_subplot(rows, columns, place))
            axes.set_title(panel.title, color=TEXT, fontsize=10, loc="left")
            _draw_panel(axes, panel, [])
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=PNG_DPI)
    return file.getvalue()


def _figure() -> tuple[Figure, Axes, list[str]]:
    """Make a figure for a page: its axes, and the texts to show at its marks."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SVG_INCHES, layout="constrained", facecolor=GROUND)
        return figure, _styled(figure.add_subplot()), []


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


def _gid(tips: Sequence[str]) -> str:
    """Name an artist so that the newest text is shown at it."""
    return f"tip{len(tips) - 1}"


def _dot_on_bar(axes: Axes, x: float, y: float, ends: tuple[float, float], gid: str) -> None:
    """Draw a value with its range."""
    line: Any = dict(color=COLOURS[0], gid=gid)
    axes.plot([x, x], ends, linewidth=3, alpha=0.55, solid_capstyle="round", **line)
    axes.plot([x], [y], "o", markersize=7, **line)


def _draw_panel(axes: Axes, panel: Panel, tips: list[str]) -> None:
    with matplotlib.rc_context(STYLE):
        is_only = sum(line.best is not None for line in panel.lines) == 1
        for line in panel.lines:
            _draw_line(axes, line, panel.x_label, is_only, tips)
        for x in panel.events:
            axes.axvline(x, color=TEXT, linewidth=0.8, linestyle=":", alpha=0.6)
        if panel.from_zero:
            axes.set_ylim(bottom=0)
        elif _is_wide(panel.lines):
            axes.set_yscale("log")
            low, high = axes.get_ylim()
            is_few = high < FEW_DECADES * low
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if is_few else (1,)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        if panel.x_label != "hours":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(panel.x_label)
        if len(panel.lines) > 1:
            axes.legend(fontsize=9, facecolor=GROUND, edgecolor=GRID, labelcolor=TEXT)


def _draw_line(axes: Axes, line: Line, x_label: str, has_value: bool, tips: list[str]) -> None:
    colour = COLOURS[line.colour % len(COLOURS)]
    dashed = "--" if line.colour >= len(COLOURS) else "-"
    keep = slice(None, None, max(1, math.ceil(len(line.x) / MAX_POINTS)))
    x, y = line.x[keep], line.y[keep]
    if line.raw is not None:
        axes.plot(x, line.raw[keep], color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(x, y, color=colour, linewidth=1.6, linestyle=dashed, label=line.label)
    for at, value in zip(x, y, strict=True) if line.is_marked else ():
        tips.append(f"{x_label.removesuffix('s')} {at:g}: {value:.4g}")
        axes.plot([at], [value], "o", markersize=3, color=colour, gid=_gid(tips))
    if line.best is not None:
        at, value = line.x[line.best], line.y[line.best]
        axes.plot([at], [value], "*", markersize=11, color=colour, markeredgecolor=TEXT)
        if has_value:
            axes.annotate(
                f"{value:.4g}", (at, value), xytext=(4, 6), textcoords="offset points",
                fontsize=9, color=TEXT,
            )  # fmt: skip


def _is_wide(lines: Sequence[Line]) -> bool:
    values = np.concatenate([line.y for line in lines])
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > LOG_RANGE * finite.min())


def _inline_svg(figure: Figure, told: str, tips: Sequence[str]) -> Markup:
    """Turn a figure into an element of a page.

    Args:
        figure: Drawn in the colours of :data:`THEME`.
        told: Description for a screen reader.
        tips: Texts to show at the artists that :func:`_gid` named.
    """
    file = io.StringIO()
    with matplotlib.rc_context(STYLE):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=metadata)
    svg = file.getvalue()
    inner = svg[svg.index(">", svg.index("<svg")) + 1 :]
    inner = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", inner, flags=re.DOTALL)
    inner = inner.replace("xlink:href", "href")

    def tip(found: re.Match[str]) -> str:
        return f"<g><title>{escape(tips[int(found[1])])}</title>"

    def colour(found: re.Match[str]) -> str:
        return f"var({THEME[found[0]]})" if found[0] in THEME else found[0]

    inner = re.sub(r'<g id="tip(\d+)">', tip, inner)
    inner = re.sub(r'<g id="[^"]*">', "<g>", inner)
    inner = re.sub(r"(?<=: )#[0-9a-f]{6}\b", colour, inner)
    width, height = (72 * inches for inches in SVG_INCHES)
    head = f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="'
    return Markup(f'{head}{escape(told)}">{inner}')
