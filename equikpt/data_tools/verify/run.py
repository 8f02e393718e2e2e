"""All checks over annotation files and their images; issues as lines, as JSON and as CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from equikpt.core.issues import CODES, SEVERITIES, Issue, errors, plural, worst_first
from equikpt.data_tools.verify.geometry import check_geometry
from equikpt.data_tools.verify.images import check_image_files
from equikpt.data_tools.verify.label_set import LabelSet, read_set
from equikpt.data_tools.verify.limbs import check_limbs
from equikpt.data_tools.verify.poses import check_poses
from equikpt.data_tools.verify.repeats import check_repeats
from equikpt.data_tools.verify.scheme import Scheme
from equikpt.data_tools.verify.statistics import check_visibility, statistics
from equikpt_runtime.cells import csv_text

CHECKS: dict[str, Callable[[LabelSet], Iterable[Issue]]] = {
    "structure": lambda labels: labels.structure,
    "geometry": check_geometry,
    "visibility": check_visibility,
    "limbs": check_limbs,
    "poses": check_poses,
    "repeats": check_repeats,
    "images": check_image_files,
}
"""From the labels to their issues, by the family of their codes in ``equikpt.core.issues``."""

QUICK = ("structure", "geometry")
"""Checks of :func:`verify_quickly`."""

COLUMNS = (
    "severity", "check", "file", "image", "image_id", "annotation_id", "points", "sentence",
    "to_do", "score",
)  # fmt: skip


@dataclass(frozen=True)
class VerifyResult:
    """The labels, their issues worst first, and the figures of each file by its name."""

    labels: LabelSet
    issues: list[Issue]
    statistics: dict[str, dict]

    def count(self, severity: str) -> int:
        """Count the issues of one severity."""
        return sum(issue.severity == severity for issue in self.issues)


def verify(
    ann_files: Sequence[Path], img_dirs: Sequence[Path] = (), metainfo: str | None = None
) -> VerifyResult:
    """Run every check; arguments and errors as :func:`~.label_set.read_set`."""
    labels = read_set(ann_files, img_dirs, metainfo)
    issues: list[Issue] = []
    with tqdm(CHECKS.items(), desc="checks", unit="family", delay=5, disable=None) as bar:
        for name, check in bar:
            bar.set_postfix_str(name)
            issues += check(labels)
    return VerifyResult(labels, worst_first(issues), statistics(labels))


def verify_quickly(ann_files: Sequence[Path], metainfo: str | None = None) -> list[Issue]:
    """Check structure and geometry alone, worst first: no image is opened, no model is fitted.

    Arguments and errors as :func:`~.label_set.read_set`.
    """
    labels = read_set(ann_files, (), metainfo)
    return worst_first(issue for name in QUICK for issue in CHECKS[name](labels))


def first_errors(issues: Sequence[Issue], shown: int = 3) -> str:
    """The first errors in one line, empty without any: for what stops before training."""
    wrong = errors(issues)
    lines = [f"{issue.title}: {issue.sentence}; {issue.fix}" for issue in wrong[:shown]]
    more = f" - and {len(wrong) - shown} more" if len(wrong) > shown else ""
    return " - ".join(lines) + more


def summary(result: VerifyResult) -> list[str]:
    """Lines for the terminal: figures of each file, number of issues by code, a sum."""
    scheme = result.labels.scheme
    lines = [f"keypoints: {len(scheme.names)}, {scheme.name}"]
    for name, figures in result.statistics.items():
        lines.append(
            f"{name}: {figures['images']} images, {figures['annotations']} annotations, "
            f"{figures['used annotations']} of them used"
        )
        for title in ("annotations an image", "points an annotation", "box side px"):
            if spread := figures[title]:
                lines.append(
                    f"  {title}: median {spread['p50']:g}, from {spread['p0']:g} to "
                    f"{spread['p100']:g}"
                )
        lines.append(f"  boxes that overlap another one: {figures['crowded']:.0%}")
    for code, count in counts(result).items():
        row, issue = CODES[code], next(issue for issue in result.issues if issue.code == code)
        subject = issue.subject
        annotation = subject.annotation_id
        parts = [subject.image, "" if annotation is None else f"annotation {annotation}"]
        location = ", ".join(filter(None, parts)) or subject.file
        lines.append(f"{count:6d}  {row.severity:8s}{code}: {row.title}")
        lines.append(f"{'':16s}{location}{': ' if location else ''}{issue.sentence}")
    lines.append(", ".join(_amount(result.count(level), level) for level in SEVERITIES))
    return lines


def counts(result: VerifyResult) -> dict[str, int]:
    """Count the issues by code, worst codes first."""
    return dict(Counter(issue.code for issue in result.issues))


def _amount(count: int, severity: str) -> str:
    """A number of issues in words."""
    return f"{count} for information" if severity == "info" else plural(count, severity)


def as_row(issue: Issue, scheme: Scheme) -> dict:
    """An issue as plain values, by the names of :data:`COLUMNS`."""
    subject = issue.subject
    values = (
        *(issue.severity, issue.code, subject.file, subject.image, subject.image_id),
        *(subject.annotation_id, [scheme.names[point] for point in subject.keypoints]),
        *(issue.sentence, issue.fix, round(issue.score, 4)),
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
