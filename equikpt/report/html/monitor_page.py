"""Monitoring page of a run, or of a comparison of runs, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape
from tqdm import tqdm

from equikpt.report.diagnose.diagnosis import Diagnosis
from equikpt.report.html.curves import Panel, panels_of_run, panels_of_runs
from equikpt.report.html.figure import draw, svg_uri
from equikpt.report.html.render import render
from equikpt.report.run.comparison import best_run, common_metric, names_of, results
from equikpt.report.run.config_differences import config_differences
from equikpt.report.run.run_state import State
from equikpt.report.state_text import state_lines


def run_page(state: State, issues: Sequence[Diagnosis]) -> str:
    """Render state, issues and curves of one run."""
    return render(
        "monitor.html.j2",
        title=f"{state.run.name}: {state.status.value}",
        issues=issues,
        header=(),
        rows=state_lines(state),
        best=None,
        charts=_charts(panels_of_run(state.run, state.metric)),
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
        charts=_charts(panels_of_runs(names, runs, metric)),
        names=names,
        differences=[(each.title, *each.values) for each in config_differences(runs)],
    )


def _charts(panels: Sequence[Panel]) -> list[Markup]:
    """Draw each panel in the page's light and dark."""
    charts = []
    for panel in tqdm(panels, desc="drawing", unit="panel", delay=5, disable=None):
        light, dark = (svg_uri(draw([panel], dark=is_dark)) for is_dark in (False, True))
        charts.append(
            Markup(
                f'<picture><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
                f'<img src="{light}" alt="{escape(panel.title)}"></picture>'
            )
        )
    return charts
