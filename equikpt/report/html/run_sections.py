"""Sections of a report that need only the run's folder: what was trained, curves, commands."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd

from equikpt.report.html.markup import MISSING, Section, card, facts, tell
from equikpt.report.html.plots import Line, line_chart
from equikpt.report.html.score_sections import TILES
from equikpt.report.run.facts import SplitCount, course, data_set, environment, settings
from equikpt.report.run.run_folder import Run
from equikpt.report.run.run_plan import Metric, better_direction, watched_metric

COUNTS = {
    "pictures": "Pictures",
    "instances": "Labelled instances",
    "points": "Labelled points",
    "hidden": "of them hidden",
}
MOST_RATES = 5


def what_was_trained(run: Run, versions: dict[str, str]) -> Section:
    """Settings, course, machine and data.

    Args:
        run: The run.
        versions: Of the packages that tested it.
    """
    tested = [(f"{name} (test)", version) for name, version in versions.items()]
    cards = [
        card("Settings", facts(settings(run)) if run.config is not None else ""),
        card("Course", facts(course(run))),
        card("Machine and versions", facts([*environment(run), *tested])),
    ]
    return Section(
        "trained",
        "What was trained",
        f"<div class=cards>{''.join(cards)}</div>{_data_table(data_set(run))}",
    )


def _data_table(counts: Sequence[SplitCount]) -> str:
    """Counts of the annotation files; only columns in which some file has a number."""
    if not counts:
        return ""
    shown = [name for name in COUNTS if any(getattr(c, name) is not None for c in counts)]
    heads = "".join(f"<th scope=col class=number>{COUNTS[name]}</th>" for name in shown)
    rows = ""
    for count in counts:
        values = (getattr(count, name) for name in shown)
        cells = "".join(
            f"<td class=number>{MISSING if value is None else value}</td>" for value in values
        )
        rows += (
            f"<tr><th scope=row>{count.split.capitalize()}</th>{cells}"
            f"<td class=where>{escape(count.file)}</td></tr>"
        )
    at_hand = all(count.pictures is not None for count in counts)
    lost = "" if at_hand else f"<p class=where>{MISSING}: not at hand</p>"
    return (
        '<div class="box wide below" role=region tabindex=0 aria-label="Data">'
        f"<table><thead><tr><th scope=col>Data</th>{heads}<th scope=col>Labels</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{lost}"
    )


def curves(run: Run) -> Section:
    """Losses, what the run was judged by, and learning rates."""
    cards = [
        card("Loss", _loss_chart(run)),
        *(card(metric.name, _metric_chart(run, metric)) for metric in _metrics(run)),
        card("Learning rate", _rate_chart(run)),
    ]
    shown = "".join(cards)
    if not shown:
        return Section("curves", "Training curves", tell("The run has logged nothing yet."))
    return Section("curves", "Training curves", f"<div class=cards>{shown}</div>")


def _metrics(run: Run) -> list[Metric]:
    """What the run keeps its best checkpoint by; where that is a loss, the first key figure."""
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


def _loss_chart(run: Run) -> str:
    lines = []
    if "loss" in run.train:
        lines.append(_line(run, run.train, "loss", "training"))
    if "val_loss" in run.val:
        lines.append(_line(run, run.val, "val_loss", "validation", dots=True))
    return line_chart("Loss", lines, _x_title(run))


def _metric_chart(run: Run, metric: Metric) -> str:
    """The metric over the validations, its best value ringed and told."""
    best = metric.best_row(run.val)
    if best is None:
        return ""
    index = run.val.index.tolist().index(best.name)
    line = _line(run, run.val, metric.name, metric.name, dots=True)
    chart = line_chart(metric.name, [line], _x_title(run), index)
    told = f"best {best[metric.name]:.4g} at {_x_title(run)} {line.x[index]:g}"
    return f"{chart}<p class=where>{told}</p>"


def _rate_chart(run: Run) -> str:
    names = [name for name in map(str, run.train) if name.startswith("lr_")]
    names = names or [name for name in ("lr", "base_lr") if name in run.train][:1]
    lines = [_line(run, run.train, name, name.removeprefix("lr_")) for name in names[:MOST_RATES]]
    return line_chart("Learning rate", lines, _x_title(run))


def reproduction(commands: Sequence[tuple[str, str]]) -> Section:
    """What to type.

    Args:
        commands: What each does, and the line.
    """
    lines = "".join(
        f"<h3>{escape(title)}</h3><pre><code>{escape(command)}</code></pre>"
        for title, command in commands
    )
    warning = tell(
        "A config is a Python program, which training and testing run: read a config that is not "
        "your own first."
    )
    return Section("reproduce", "How to reproduce it", lines + warning if lines else "")
