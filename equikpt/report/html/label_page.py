"""Check of a label set as one HTML file with everything in it."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest
from typing import Any

from tqdm import tqdm

from equikpt.core.issues import CODES, SEVERITIES, Issue
from equikpt.data_tools.verify.run import VerifyResult, counts, plural
from equikpt.report.html.label_thumbnails import Thumbnails
from equikpt.report.html.render import render

MAX_CARDS = 60
"""Cards of one check: the worst are shown, all are in the CSV and the JSON."""
MAX_IMAGE_BYTES = 4_000_000
"""Size of all thumbnails, as text in the page, which then stays below 5 MB."""
MAX_LETTERS = 400
"""Length of a message."""


def to_html(result: VerifyResult, max_image_bytes: int = MAX_IMAGE_BYTES) -> str:
    """Render the page.

    Args:
        result: Issues of the label set.
        max_image_bytes: Of the thumbnails as base64 text; beyond it the worst of each check have
            one.
    """
    by_check = _by_check(result.issues)
    thumbnails = _thumbnails(result, by_check, max_image_bytes)
    shown = [issue for issues in by_check.values() for issue in issues]
    severities = [(level, plural(result.count(level), level)) for level in SEVERITIES]
    scheme = result.labels.scheme
    told = ", ".join(count for _, count in severities)
    return render(
        "labels.html.j2",
        title="Labels checked: " + ", ".join(file.path.name for file in result.labels.files),
        summary=f"{told}; {len(scheme.names)} keypoints, {scheme.name}",
        files=[file.name for file in result.labels.files],
        checks=[
            dict(name=name, count=count, severity=CODES[name].severity, title=CODES[name].title)
            for name, count in counts(result).items()
        ],
        max_cards=MAX_CARDS,
        statistics=[
            (name, [(title, _text(value)) for title, value in figures.items()])
            for name, figures in result.statistics.items()
        ],
        severities=severities,
        cards=[_card(issue, thumbnails.get(id(issue), "")) for issue in shown],
    )


def _by_check(issues: list[Issue]) -> dict[str, list[Issue]]:
    """The worst of each check, worst check first."""
    by_check: dict[str, list[Issue]] = defaultdict(list)
    for issue in issues:
        if len(by_check[issue.code]) < MAX_CARDS:
            by_check[issue.code].append(issue)
    return by_check


def _thumbnails(
    result: VerifyResult, by_check: dict[str, list[Issue]], max_bytes: int
) -> dict[int, str]:
    """Thumbnails by issue; first the worst of each check, then the second, until they are full."""
    thumbnails = Thumbnails(result.labels)
    in_turns = [f for rank in zip_longest(*by_check.values()) for f in rank if f is not None]
    drawn: dict[int, str] = {}
    used = 0
    for issue in tqdm(in_turns, desc="drawing", unit="img", delay=5, disable=None):
        uri = thumbnails.data_uri(issue)
        if used + len(uri) > max_bytes:
            break
        used += len(uri)
        drawn[id(issue)] = uri
    return drawn


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part:g}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _card(issue: Issue, image: str) -> dict[str, Any]:
    subject, message = issue.subject, issue.sentence
    annotation = "" if subject.annotation_id is None else f", annotation {subject.annotation_id}"
    return dict(
        check=issue.code,
        severity=issue.severity,
        title=issue.title,
        image=image,
        where=f"{subject.image or subject.file}{annotation}",
        message=message[: MAX_LETTERS - 1] + "…" if len(message) > MAX_LETTERS else message,
        fix=issue.fix,
    )
