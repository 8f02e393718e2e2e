"""What was found, as lines for the terminal, as JSON and as CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from equikpt.core.tables import csv_text
from equikpt.data_tools.verify.checks import CHECKS, SEVERITIES, Fault
from equikpt.data_tools.verify.run import Verdict
from equikpt.data_tools.verify.scheme import Scheme

COLUMNS = (
    "severity", "check", "file", "picture", "image_id", "annotation_id", "points", "sentence",
    "to_do", "score",
)  # fmt: skip


def summary(verdict: Verdict) -> list[str]:
    """Lines for the terminal: figures of each file, how often each check found something, a sum."""
    labels = verdict.labels
    lines = [f"keypoints: {len(labels.scheme.names)}, {labels.scheme.name}"]
    for name, figures in verdict.statistics.items():
        lines.append(
            f"{name}: {figures['pictures']} pictures, {figures['annotations']} annotations, "
            f"{figures['used annotations']} of them used"
        )
        for title in ("annotations a picture", "points an annotation", "box side px"):
            spread = figures[title]
            if spread:
                lines.append(
                    f"  {title}: median {spread['p50']:g}, from {spread['p0']:g} to "
                    f"{spread['p100']:g}"
                )
        lines.append(f"  boxes that overlap another one: {figures['crowded']:.0%}")
    for check, count in counts(verdict).items():
        row = CHECKS[check]
        lines.append(f"{count:6d}  {row.severity:8s}{check}: {row.title}")
        first = next(fault for fault in verdict.faults if fault.check == check)
        lines.append(f"{'':16s}{place(first)}{first.sentence}")
    lines.append(", ".join(f"{plural(verdict.count(level), level)}" for level in SEVERITIES))
    return lines


def counts(verdict: Verdict) -> dict[str, int]:
    """Number of faults by check, worst checks first."""
    return dict(Counter(fault.check for fault in verdict.faults))


def place(fault: Fault) -> str:
    """Where a fault is, with a colon, as the start of its sentence."""
    parts = [fault.image] if fault.image else [fault.file] if fault.annotation_id is None else []
    if fault.annotation_id is not None:
        parts.append(f"annotation {fault.annotation_id}")
    return f"{', '.join(parts)}: " if parts else ""


def plural(count: int, severity: str) -> str:
    """A number of faults in words."""
    if severity == "info":
        return f"{count} for information"
    return f"{count} {severity}{'' if count == 1 else 's'}"


def as_row(fault: Fault, scheme: Scheme) -> dict:
    """A fault as plain values, by the names of :data:`COLUMNS`."""
    return dict(
        zip(
            COLUMNS,
            (
                fault.severity,
                fault.check,
                fault.file,
                fault.image,
                fault.image_id,
                fault.annotation_id,
                [scheme.names[point] for point in fault.points],
                fault.sentence,
                fault.to_do,
                round(fault.score, 4),
            ),
            strict=True,
        )
    )


def to_json(verdict: Verdict) -> str:
    """Everything: counts, faults worst first, and figures of each file."""
    content = {
        "keypoints": verdict.labels.scheme.name,
        "counts": {level: verdict.count(level) for level in SEVERITIES},
        "faults": [as_row(fault, verdict.labels.scheme) for fault in verdict.faults],
        "statistics": verdict.statistics,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def to_csv(verdict: Verdict) -> str:
    """One line a fault, worst first; points are separated by spaces."""
    rows: list[Sequence] = [COLUMNS]
    for fault in verdict.faults:
        row = as_row(fault, verdict.labels.scheme)
        rows.append(list({**row, "points": " ".join(row["points"])}.values()))
    return csv_text(rows)
