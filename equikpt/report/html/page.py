"""Report of a run as one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from equikpt.report.evaluation import Evaluation
from equikpt.report.html.charts import panel_chart
from equikpt.report.html.curves import panels_of_run
from equikpt.report.html.examples import MAX_IMAGE_BYTES
from equikpt.report.html.keypoint_sections import calibration_tile, pose_sections
from equikpt.report.html.render import Section, render
from equikpt.report.html.score_sections import other_sections, primary_names, tiles_of
from equikpt.report.run.facts import (
    SplitCount,
    config_name,
    course,
    data_set,
    environment,
    settings,
)
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import Metric, better_direction, watched_metric

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
    """Content of a report.

    Args:
        run: Run.
        evaluation: Test of its checkpoint; None without.
        commands: Title and command line of each step.
        notes: Sentences on what is left out.
    """

    run: Run
    evaluation: Evaluation | None
    commands: Sequence[tuple[str, str]]
    notes: Sequence[str] = field(default=())


def to_html(report: Report, max_image_bytes: int = MAX_IMAGE_BYTES) -> str:
    """Render the page; its images take at most ``max_image_bytes`` of base64 text."""
    run, evaluation = report.run, report.evaluation
    notes, tiles = list(report.notes), []
    if run.note:
        notes.append(f"{run.note[0].upper()}{run.note[1:]}.")
    sections = [_trained(run, evaluation.versions if evaluation else {}), _curves(run)]
    if evaluation is not None and evaluation.parts is not None:
        tiles = [*tiles_of(evaluation), calibration_tile(evaluation)]
        sections += pose_sections(evaluation, max_image_bytes)
    elif evaluation is not None:
        notes.append(NOT_POSES)
        tiles = tiles_of(evaluation)
        sections += other_sections(evaluation, max_image_bytes)
    if report.commands:
        content = dict(commands=report.commands)
        sections.append(Section("reproduce", "How to reproduce it", "reproduce", content))
    return render(
        "run_report.html.j2",
        title=f"{run.name}: report of a run",
        lead=f"Trained with {config_name(run)} until {run.sessions['end'].iloc[-1]:%Y-%m-%d %H:%M}",
        notes=notes,
        tiles=tiles,
        sections=sections,
    )


def _trained(run: Run, versions: dict[str, str]) -> Section:
    """Settings, course, machine and data; ``versions`` are those of the test's packages."""
    tested = [(f"{name} (test)", version) for name, version in versions.items()]
    content = dict(
        settings=settings(run) if run.config is not None else [],
        course=course(run),
        environment=[*environment(run), *tested],
        data=_data_table(data_set(run)),
    )
    return Section("trained", "What was trained", "trained", content)


def _data_table(counts: Sequence[SplitCount]) -> dict[str, Any] | None:
    """Counts of the annotation files; columns without a number in any file are left out."""
    if not counts:
        return None
    shown = [name for name in COUNTS if any(getattr(c, name) is not None for c in counts)]
    return dict(
        titles=[COUNTS[name] for name in shown],
        rows=[
            (count.split.capitalize(), [getattr(count, name) for name in shown], count.file)
            for count in counts
        ],
        is_incomplete=any(count.images is None for count in counts),
    )


def _curves(run: Run) -> Section:
    """Every curve of the run, with the metric that it was judged by."""
    content: dict[str, Any] = dict(charts=list(map(panel_chart, panels_of_run(run, _metric(run)))))
    if not content["charts"]:
        content["told"] = "The run has logged nothing yet."
    return Section("curves", "Training curves", "charts", content)


def _metric(run: Run) -> Metric | None:
    """Metric of the best checkpoint; the first key figure where that is a loss."""
    watched = watched_metric(run)
    if watched is None or watched.name not in run.val or "loss" not in watched.name:
        return watched
    names = [name for name in primary_names() if name in run.val]
    return Metric(names[0], better_direction(names[0])) if names else None
