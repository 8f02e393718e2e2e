"""Report of a run as one HTML file with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from equikpt.report.evaluation import Evaluation
from equikpt.report.html.examples import MAX_IMAGE_BYTES
from equikpt.report.html.keypoint_sections import calibration_tile, pose_sections
from equikpt.report.html.plots import Chart, Line, line_chart
from equikpt.report.html.render import Section, render
from equikpt.report.html.score_sections import TILES, other_sections, tiles_of
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

MAX_RATES = 5
COUNTS = {
    "pictures": "Images",
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
        is_incomplete=any(count.pictures is None for count in counts),
    )


def _curves(run: Run) -> Section:
    """Losses, the metric that the run was judged by, and learning rates."""
    charts = [
        _loss_chart(run),
        *(_metric_chart(run, metric) for metric in _metrics(run)),
        _rate_chart(run),
    ]
    content: dict[str, Any] = dict(charts=[chart for chart in charts if chart.html])
    if not content["charts"]:
        content["told"] = "The run has logged nothing yet."
    return Section("curves", "Training curves", "charts", content)


def _metrics(run: Run) -> list[Metric]:
    """Metric of the best checkpoint; the first key figure where that is a loss."""
    watched = watched_metric(run)
    if watched is None or watched.name not in run.val:
        return []
    if "loss" not in watched.name:
        return [watched]
    return [Metric(name, better_direction(name)) for name in TILES if name in run.val][:1]


def _x(run: Run, rows: pd.DataFrame) -> np.ndarray:
    """Epochs where the run has them, else steps."""
    steps = rows["step"].to_numpy(float)
    return steps / run.steps_per_epoch if _by_epoch(run) and run.steps_per_epoch else steps


def _by_epoch(run: Run) -> bool:
    return run.steps_per_epoch is not None and bool(run.train["epoch"].notna().any())


def _x_title(run: Run) -> str:
    return "epoch" if _by_epoch(run) else "step"


def _line(run: Run, rows: pd.DataFrame, column: str, name: str, dots: bool = False) -> Line:
    return Line(name, _x(run, rows), rows[column].to_numpy(float), dots)


def _loss_chart(run: Run) -> Chart:
    lines = []
    if "loss" in run.train:
        lines.append(_line(run, run.train, "loss", "training"))
    if "val_loss" in run.val:
        lines.append(_line(run, run.val, "val_loss", "validation", dots=True))
    return line_chart("Loss", lines, _x_title(run))


def _metric_chart(run: Run, metric: Metric) -> Chart:
    """The metric over the validations with its best value ringed."""
    line = _line(run, run.val, metric.name, metric.name, dots=True)
    best = metric.best_row(run.val)
    index = None if best is None else run.val.index.tolist().index(best.name)
    return line_chart(metric.name, [line], _x_title(run), index)


def _rate_chart(run: Run) -> Chart:
    names = [name for name in map(str, run.train) if name.startswith("lr_")]
    names = names or [name for name in ("lr", "base_lr") if name in run.train][:1]
    lines = [_line(run, run.train, name, name.removeprefix("lr_")) for name in names[:MAX_RATES]]
    return line_chart("Learning rate", lines, _x_title(run))
