"""Report of a run as one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from equikpt.report.evaluation import Evaluation
from equikpt.report.html.charts import panel_chart
from equikpt.report.html.examples import MAX_IMAGE_BYTES
from equikpt.report.html.monitor_page import panels_of_run
from equikpt.report.html.render import render
from equikpt.report.html.sections import Section, Tile, primary_names, tested_sections
from equikpt.report.run.facts import config_name, course, data_set, environment, settings
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_state import Metric, better_direction, watched_metric

COUNTS = {
    "images": "Images",
    "instances": "Labelled instances",
    "points": "Labelled points",
    "hidden": "of them occluded",
}
NOT_POSES = (
    "Single keypoints with intervals, calibration and left and right are left out: they need whole "
    "poses, one prediction for each labelled instance, with its box and area."
)


@dataclass(frozen=True)
class Report:
    """Content of a report."""

    run: Run
    evaluation: Evaluation | None  # test of its checkpoint
    commands: Sequence[tuple[str, str]]  # title and command line of each step
    notes: Sequence[str] = ()  # sentences on what is left out


def to_html(report: Report, max_image_bytes: int = MAX_IMAGE_BYTES) -> str:
    """Render the page; its images take at most ``max_image_bytes`` of base64 text."""
    run, evaluation = report.run, report.evaluation
    notes = list(report.notes)
    tiles: list[Tile] = []
    tested: list[Section] = []
    if run.note:
        notes.append(f"{run.note[0].upper()}{run.note[1:]}.")
    if evaluation is not None:
        tiles, tested = tested_sections(evaluation, max_image_bytes)
        notes += [NOT_POSES] if evaluation.parts is None else []
    charts = list(map(panel_chart, panels_of_run(run, _metric(run))))
    commands = [("reproduce", dict(commands=report.commands))] if report.commands else []
    return render(
        "run_report.html.j2",
        title=f"{run.name}: report of a run",
        lead=f"Trained with {config_name(run)} until {run.sessions['end'].iloc[-1]:%Y-%m-%d %H:%M}",
        notes=notes,
        tiles=tiles,
        sections=[
            ("trained", _trained(run, evaluation.versions if evaluation else {})),
            ("curves", dict(charts=charts)),
            *tested,
            *commands,
        ],
    )


def _trained(run: Run, versions: dict[str, str]) -> dict[str, Any]:
    """Settings, course, machine and data; ``versions`` are those of the test's packages.

    Counts of the data without a number in any file are left out.
    """
    data = data_set(run)
    shown = [name for name in COUNTS if any(name in row for row in data)]
    tested = [(f"{name} (test)", version) for name, version in versions.items()]
    return dict(
        settings=settings(run) if run.config is not None else [],
        course=course(run),
        environment=[*environment(run), *tested],
        data=data,
        counts=[(name, COUNTS[name]) for name in shown],
    )


def _metric(run: Run) -> Metric | None:
    """Metric of the best checkpoint; the first key figure where that is a loss."""
    watched = watched_metric(run)
    if watched is None or watched.name not in run.val or "loss" not in watched.name:
        return watched
    names = [name for name in primary_names() if name in run.val]
    return Metric(names[0], better_direction(names[0])) if names else None
