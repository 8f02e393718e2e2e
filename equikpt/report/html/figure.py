"""Panels of curves drawn by matplotlib: PNG for a file, SVG for a page, light or dark.

Figures are built without pyplot: no window, no backend to choose, nothing kept from one to the
next.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from equikpt.report.html.curves import Line, Panel

LIGHT = {"ground": "#ffffff", "text": "#1c1c1a", "line": "#d9d9d4"}
DARK = {"ground": "#222220", "text": "#ecece8", "line": "#3a3a36"}
COLOURS = ("#2a78c2", "#d9622b", "#2f9e5f", "#b0479c", "#8a7a1f", "#6a6ad8", "#c23b4e", "#3a9aa0")
"""Legible on both grounds."""
PANEL_INCHES = (6.0, 3.3)
COLUMNS = 2
PNG_DPI = 110
LOG_RANGE = 20.0
"""Times its smallest value from which a panel has a logarithmic axis."""
MOST_POINTS = 1000
"""Of one line: more are not seen, and would fill the page."""
STYLE: Any = {"font.size": 10, "svg.fonttype": "path", "svg.hashsalt": "equikpt"}


def draw(panels: Sequence[Panel], title: str = "", dark: bool = False) -> Figure:
    """All panels on one figure, row by row.

    Raises:
        ValueError: No panel.
    """
    if not panels:
        raise ValueError(
            "expected a run that has logged something to draw curves of, found no row; wait for "
            "the first, or lower LoggerHook's interval"
        )
    palette = DARK if dark else LIGHT
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows)
        figure = Figure(figsize=size, layout="constrained", facecolor=palette["ground"])
        if title:
            figure.suptitle(title, color=palette["text"])
        for place, panel in enumerate(panels, 1):
            _draw_panel(figure.add_subplot(rows, columns, place), panel, palette)
    return figure


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    return _saved(figure, "png")


def svg_uri(figure: Figure) -> str:
    """The figure as the ``src`` of an HTML image."""
    encoded = base64.b64encode(_saved(figure, "svg")).decode()
    return f"data:image/svg+xml;base64,{encoded}"


def _saved(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=kind, dpi=PNG_DPI, metadata=metadata)
    return file.getvalue()


def _draw_panel(axes: Axes, panel: Panel, palette: dict[str, str]) -> None:
    is_only = sum(line.best is not None for line in panel.lines) == 1
    for line in panel.lines:
        _draw_line(axes, line, palette, is_only)
    for x in panel.events:
        axes.axvline(x, color=palette["text"], linewidth=0.8, linestyle=":", alpha=0.6)
    if panel.from_zero:
        axes.set_ylim(bottom=0)
    elif _is_wide(panel.lines):
        axes.set_yscale("log")
    if panel.x_label != "hours":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_facecolor(palette["ground"])
    axes.set_title(panel.title, color=palette["text"], fontsize=10, loc="left")
    axes.set_xlabel(panel.x_label, color=palette["text"], fontsize=9)
    axes.tick_params(colors=palette["text"], which="both", labelsize=9)
    axes.grid(color=palette["line"], linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(palette["line"])
    if len(panel.lines) > 1:
        axes.legend(
            fontsize=8, facecolor=palette["ground"], edgecolor=palette["line"],
            labelcolor=palette["text"],
        )  # fmt: skip


def _draw_line(axes: Axes, line: Line, palette: dict[str, str], tell_best: bool) -> None:
    colour = COLOURS[line.colour % len(COLOURS)]
    dashed = "--" if line.colour >= len(COLOURS) else "-"
    keep = slice(None, None, max(1, math.ceil(len(line.x) / MOST_POINTS)))
    if line.raw is not None:
        axes.plot(line.x[keep], line.raw[keep], color=colour, linewidth=0.8, alpha=0.35)
    marker = "o" if line.is_marked else None
    axes.plot(
        line.x[keep], line.y[keep], color=colour, linewidth=1.6, linestyle=dashed, marker=marker,
        markersize=3, label=line.label,
    )  # fmt: skip
    if line.best is not None:
        x, y = line.x[line.best], line.y[line.best]
        axes.plot(
            [x], [y], marker="*", markersize=11, color=colour, markeredgecolor=palette["text"]
        )
        if tell_best:
            axes.annotate(
                f"{y:.4g}", (x, y), xytext=(4, 6), textcoords="offset points", fontsize=8,
                color=palette["text"],
            )  # fmt: skip


def _is_wide(lines: Sequence[Line]) -> bool:
    values = np.concatenate([line.y for line in lines])
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > LOG_RANGE * finite.min())
