"""Monitoring page of a run, or of a comparison of runs, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from equikpt.core.issues import Issue
from equikpt.report.html.charts import panel_chart
from equikpt.report.html.curves import panels_of_run, panels_of_runs
from equikpt.report.html.render import render
from equikpt.report.run.comparison import best_run, common_metric, names_of, results
from equikpt.report.run.config_differences import config_differences
from equikpt.report.run.run_state import State
from equikpt.report.state_text import state_lines


def run_page(state: State, issues: Sequence[Issue]) -> str:
    """Render state, issues and curves of one run."""
    return render(
        "monitor.html.j2",
        title=f"{state.run.name}: {state.status.value}",
        issues=issues,
        header=(),
        rows=state_lines(state),
        best=None,
        charts=list(map(panel_chart, panels_of_run(state.run, state.metric))),
        differences=None,
    )


def comparison_page(states: Sequence[State]) -> str:
    """Render results, curves over one another, and the differences of the configs."""
    runs = [state.run for state in states]
    names, metric = names_of(runs), common_metric(runs)
    header, rows = results(names, states, metric)
    return render(
        "monitor.html.j2",
        title=f"Comparison of {', '.join(names)}",
        issues=(),
        header=header,
        rows=rows,
        best=best_run(states, metric),
        charts=list(map(panel_chart, panels_of_runs(names, runs, metric))),
        names=names,
        differences=[(each.title, *each.values) for each in config_differences(runs)],
    )
