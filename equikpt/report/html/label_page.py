"""Check of a label set as one HTML file with everything in it."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest
from typing import Any

from tqdm import tqdm

from equikpt.data_tools.verify.checks import CHECKS, SEVERITIES, Fault
from equikpt.data_tools.verify.report import counts, plural
from equikpt.data_tools.verify.run import Verdict
from equikpt.report.html.label_thumbnails import Thumbnails
from equikpt.report.html.render import render

MAX_CARDS = 60
"""Of one check: the worst are shown, all are in the CSV and the JSON."""
MAX_IMAGE_BYTES = 4_000_000
"""Of all thumbnails, as text in the page, which then stays below 5 MB."""
MAX_LETTERS = 400
"""Of a message."""


def to_html(verdict: Verdict, max_image_bytes: int = MAX_IMAGE_BYTES) -> str:
    """Render the page.

    Args:
        verdict: Issues of the label set.
        max_image_bytes: Of the thumbnails as base64 text; beyond it the worst of each check have
            one.
    """
    by_check = _by_check(verdict.faults)
    thumbnails = _thumbnails(verdict, by_check, max_image_bytes)
    shown = [fault for faults in by_check.values() for fault in faults]
    severities = [(level, plural(verdict.count(level), level)) for level in SEVERITIES]
    scheme = verdict.labels.scheme
    told = ", ".join(count for _, count in severities)
    return render(
        "labels.html.j2",
        title="Labels checked: " + ", ".join(file.path.name for file in verdict.labels.files),
        summary=f"{told}; {len(scheme.names)} keypoints, {scheme.name}",
        files=[file.name for file in verdict.labels.files],
        checks=[
            dict(name=name, count=count, severity=CHECKS[name].severity, title=CHECKS[name].title)
            for name, count in counts(verdict).items()
        ],
        max_cards=MAX_CARDS,
        statistics=[
            (name, [(title, _text(value)) for title, value in figures.items()])
            for name, figures in verdict.statistics.items()
        ],
        severities=severities,
        cards=[_card(fault, thumbnails.get(id(fault), "")) for fault in shown],
    )


def _by_check(faults: list[Fault]) -> dict[str, list[Fault]]:
    """The worst of each check, worst check first."""
    by_check: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if len(by_check[fault.check]) < MAX_CARDS:
            by_check[fault.check].append(fault)
    return by_check


def _thumbnails(
    verdict: Verdict, by_check: dict[str, list[Fault]], max_bytes: int
) -> dict[int, str]:
    """Thumbnails by fault; first the worst of each check, then the second, until they are full."""
    thumbnails = Thumbnails(verdict.labels)
    in_turns = [f for rank in zip_longest(*by_check.values()) for f in rank if f is not None]
    drawn: dict[int, str] = {}
    used = 0
    for fault in tqdm(in_turns, desc="drawing", unit="img", delay=5, disable=None):
        uri = thumbnails.data_uri(fault)
        if used + len(uri) > max_bytes:
            break
        used += len(uri)
        drawn[id(fault)] = uri
    return drawn


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part:g}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _card(fault: Fault, image: str) -> dict[str, Any]:
    annotation = "" if fault.annotation_id is None else f", annotation {fault.annotation_id}"
    is_long = len(fault.sentence) > MAX_LETTERS
    return dict(
        check=fault.check,
        severity=CHECKS[fault.check].severity,
        title=CHECKS[fault.check].title,
        image=image,
        where=f"{fault.image or fault.file}{annotation}",
        message=fault.sentence[: MAX_LETTERS - 1] + "…" if is_long else fault.sentence,
        fix=fault.to_do,
    )
