"""Issues of labels as lines for the terminal, as JSON and as CSV."""

from __future__ import annotations

import json
from collections import Counter

from equikpt.core.issues import CODES, SEVERITIES, Issue
from equikpt.core.tables import csv_text
from equikpt.data_tools.verify.run import VerifyResult
from equikpt.data_tools.verify.scheme import Scheme

COLUMNS = (
    "severity", "check", "file", "image", "image_id", "annotation_id", "points", "sentence",
    "to_do", "score",
)  # fmt: skip


def summary(result: VerifyResult) -> list[str]:
    """Lines for the terminal: figures of each file, number of issues by code, a sum."""
    labels = result.labels
    lines = [f"keypoints: {len(labels.scheme.names)}, {labels.scheme.name}"]
    for name, figures in result.statistics.items():
        lines.append(
            f"{name}: {figures['images']} images, {figures['annotations']} annotations, "
            f"{figures['used annotations']} of them used"
        )
        for title in ("annotations an image", "points an annotation", "box side px"):
            spread = figures[title]
            if spread:
                lines.append(
                    f"  {title}: median {spread['p50']:g}, from {spread['p0']:g} to "
                    f"{spread['p100']:g}"
                )
        lines.append(f"  boxes that overlap another one: {figures['crowded']:.0%}")
    for code, count in counts(result).items():
        row = CODES[code]
        lines.append(f"{count:6d}  {row.severity:8s}{code}: {row.title}")
        first = next(issue for issue in result.issues if issue.code == code)
        lines.append(f"{'':16s}{location(first)}{first.sentence}")
    lines.append(", ".join(f"{plural(result.count(level), level)}" for level in SEVERITIES))
    return lines


def counts(result: VerifyResult) -> dict[str, int]:
    """Count the issues by code, worst codes first."""
    return dict(Counter(issue.code for issue in result.issues))


def location(issue: Issue) -> str:
    """Image or file and annotation of an issue with a colon, as the start of its sentence."""
    subject = issue.subject
    parts = [subject.image] if subject.image else []
    if subject.annotation_id is not None:
        parts.append(f"annotation {subject.annotation_id}")
    parts = parts or [subject.file]
    return f"{', '.join(parts)}: " if parts[0] else ""


def plural(count: int, severity: str) -> str:
    """A number of issues in words."""
    if severity == "info":
        return f"{count} for information"
    return f"{count} {severity}{'' if count == 1 else 's'}"


def as_row(issue: Issue, scheme: Scheme) -> dict:
    """An issue as plain values, by the names of :data:`COLUMNS`."""
    subject = issue.subject
    values = (
        issue.severity,
        issue.code,
        subject.file,
        subject.image,
        subject.image_id,
        subject.annotation_id,
        [scheme.names[point] for point in subject.keypoints],
        issue.sentence,
        issue.fix,
        round(issue.score, 4),
    )
    return dict(zip(COLUMNS, values, strict=True))


def to_json(result: VerifyResult) -> str:
    """Everything as JSON: counts, issues worst first, and figures of each file."""
    content = {
        "keypoints": result.labels.scheme.name,
        "counts": {level: result.count(level) for level in SEVERITIES},
        "faults": [as_row(issue, result.labels.scheme) for issue in result.issues],
        "statistics": result.statistics,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def to_csv(result: VerifyResult) -> str:
    """One line an issue, worst first; keypoints are separated by spaces."""
    rows = [as_row(issue, result.labels.scheme) for issue in result.issues]
    lines = [list({**row, "points": " ".join(row["points"])}.values()) for row in rows]
    return csv_text([COLUMNS, *lines])
