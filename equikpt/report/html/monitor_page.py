"""A run, or a comparison of runs, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tqdm import tqdm

from equikpt.report.diagnose.diagnosis import Diagnosis
from equikpt.report.html.curves import Panel, panels_of_run, panels_of_runs
from equikpt.report.html.document import document
from equikpt.report.html.figure import draw, svg_uri
from equikpt.report.run.comparison import best_run, common_metric, names_of, results
from equikpt.report.run.config_differences import config_differences
from equikpt.report.run.run_state import State
from equikpt.report.state_text import state_lines

STYLE = """
h2 { font-size: 1.1rem; margin: 1.4rem 0 .4rem; }
.curves {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr));
  gap: .8rem; margin-top: 1rem;
}
.curves img { display: block; width: 100%; height: auto; border-radius: .4rem; }
.findings p { padding: .5rem .7rem; border-left: .25rem solid; background: var(--card); }
.findings span { display: block; color: var(--text); }
.best { font-weight: 600; }
tbody th { font-weight: 600; }
.settings th:first-child { min-width: min(24rem, 40vw); }
th, td { vertical-align: top; overflow-wrap: anywhere; min-width: 5rem; }
@media print { .curves { grid-template-columns: 1fr 1fr; } }
"""


def run_page(state: State, findings: Sequence[Diagnosis]) -> str:
    """State, diagnoses and curves of one run."""
    rows = [("", line) for line in state_lines(state)]
    parts = [_findings(findings), _table((), rows)]
    parts.append(_curves(panels_of_run(state.run, state.metric)))
    return document(f"{state.run.name}: {state.status.value}", "\n".join(parts), STYLE, "")


def comparison_page(states: Sequence[State]) -> str:
    """Results, curves over one another, and the differences of the configs."""
    runs = [state.run for state in states]
    names, metric = names_of(runs), common_metric(runs)
    header, rows = results(names, states, metric)
    best = best_run(states, metric)
    classes = ["best" if i == best else "" for i in range(len(rows))]
    differences = [("", (each.title, *each.values)) for each in config_differences(runs)]
    parts = [
        _table(header, list(zip(classes, rows, strict=True))),
        _curves(panels_of_runs(names, runs, metric)),
        "<h2>Differences of the configs</h2>",
        f"<section class=settings>{_table(('setting', *names), differences)}</section>"
        if differences
        else "<p>None.</p>",
    ]
    return document(f"Comparison of {', '.join(names)}", "\n".join(parts), STYLE, "")


def _findings(findings: Sequence[Diagnosis]) -> str:
    told = "".join(
        f'<p class="{each.severity}">{each.severity}: {escape(each.sentence)}'
        f"<span>{escape(each.to_do)}</span></p>"
        for each in findings
    )
    return f"<section class=findings>{told}</section>"


def _table(header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of rows with their CSS class; the first cell of a row is its heading."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f'<tr class="{kind}"><th>{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for kind, (first, *cells) in rows
    )
    thead = f"<thead><tr>{head}</tr></thead>" if header else ""
    return f"<div class=wide><table>{thead}<tbody>{body}</tbody></table></div>"


def _curves(panels: Sequence[Panel]) -> str:
    """Each panel as a picture in the page's light and dark."""
    pictures = []
    for panel in tqdm(panels, desc="drawing", unit="panel", delay=5, disable=None):
        light, dark = (svg_uri(draw([panel], dark=is_dark)) for is_dark in (False, True))
        pictures.append(
            f'<picture><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
            f'<img src="{light}" alt="{escape(panel.title)}"></picture>'
        )
    return f"<section class=curves>{''.join(pictures)}</section>"
