"""A run's state in the terminal: as plain text, or as a panel that is kept up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from equikpt.core.issues import Issue
from equikpt.report.diagnose import diagnose
from equikpt.report.run.comparison import compare
from equikpt.report.run.run_state import State, Status
from equikpt.report.state_text import state_lines

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
STATUS_STYLES = {
    Status.STALLED: "yellow",
    Status.KILLED: "red",
    Status.STOPPED_EARLY: "cyan",
    Status.FINISHED: "green",
}
BARS = "▁▂▃▄▅▆▇█"
CURVE_CELLS = 48
"""Columns of a small curve."""
LOG_RANGE = 20.0
"""Times its smallest value from which a curve is drawn by its logarithm."""


def plain_text(state: State, issues: Sequence[Issue]) -> str:
    """The state and what is wrong with it, a fact a line."""
    lines = state_lines(state)
    width = max(len(title) for title, _ in lines)
    text = [state.run.name, *(f"  {title:<{width}}  {words}" for title, words in lines)]
    for each in issues:
        text += [f"{each.severity}: {each.sentence}", f"  {each.fix}"]
    return "\n".join(text)


def panel(state: State, issues: Sequence[Issue]) -> RenderableType:
    """The state, small curves and what is wrong, in a frame of the state's colour."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if state.plan.max_steps:
        bar = ProgressBar(total=state.plan.max_steps, completed=state.step, width=CURVE_CELLS)
        table.add_row("progress", bar)
    for title, words in state_lines(state):
        table.add_row(title, words)
    drawn = {"training loss": state.run.train.get("loss")}
    if state.metric is not None and state.metric.name in state.run.val:
        drawn[state.metric.name] = state.run.val[state.metric.name].dropna()
    for title, values in drawn.items():
        if values is not None:
            table.add_row(f"curve of {title}", Text(sparkline(values), style="blue"))
    parts: list[RenderableType] = [table]
    for each in issues:
        parts.append(Text(f"{each.severity}: {each.sentence}", SEVERITY_STYLES[each.severity]))
        parts.append(Text(f"  {each.fix}"))
    title = f"{state.run.name}: {state.status.value}"
    return Panel(Group(*parts), title=title, border_style=STATUS_STYLES.get(state.status, "blue"))


def watch(
    read: Callable[[], State],
    console: Console,
    interval_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> State:
    """Keep the panel up to date until the run is over.

    Where ``console`` is no terminal it shows the last panel alone.

    Args:
        read: Gives the state as it is now.
        console: Where to.
        interval_s: Seconds between two calls of ``read``.
        sleep: Waits so many seconds.

    Returns:
        The state at the end.
    """
    state = read()
    with Live(panel(state, diagnose(state)), console=console, refresh_per_second=2) as live:
        while not state.status.is_over:
            sleep(interval_s)
            state = read()
            live.update(panel(state, diagnose(state)), refresh=True)
    return state


def comparison_tables(states: Sequence[State]) -> list[RenderableType]:
    """List the results of runs, the best in bold, and the differences of their configs."""
    found = compare(states)
    reached = Table(*found.header, title="runs", title_justify="left")
    for index, row in enumerate(found.rows):
        reached.add_row(*row, style="bold" if index == found.best else None)
    title = "differences of the configs"
    differing = Table("setting", *found.names, title=title, title_justify="left")
    for column in differing.columns:
        column.overflow = "fold"
    for row in found.differences:
        differing.add_row(*map(escape, row))
    return [reached, differing]


def sparkline(values: Sequence[float] | pd.Series, cells: int = CURVE_CELLS) -> str:
    """A curve in one line of text; a gap where there is no finite value.

    Args:
        values: (N,) in their order; of more than ``cells`` the means of neighbours are shown.
        cells: Characters at most.
    """
    series = np.array(values, dtype=float)
    series[~np.isfinite(series)] = np.nan
    if np.isnan(series).all():
        return ""
    if np.nanmin(series) > 0 and np.nanmax(series) > LOG_RANGE * np.nanmin(series):
        series = np.log(series)
    means = np.array([part.mean() for part in np.array_split(series, min(cells, len(series)))])
    low, high = np.nanmin(means), np.nanmax(means)
    heights = (means - low) / max(high - low, 1e-12) * (len(BARS) - 1)
    return "".join(BARS[round(float(h))] if np.isfinite(h) else " " for h in heights)
