"""The HTML report: one file with everything in it."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from itertools import zip_longest

from tqdm import tqdm

from equikpt.data_tools.verify.checks import CHECKS, SEVERITIES, Fault
from equikpt.data_tools.verify.report import counts, plural
from equikpt.data_tools.verify.run import Verdict
from equikpt.report.html.document import document
from equikpt.report.html.label_page_template import BODY, SCRIPT, STYLE
from equikpt.report.html.label_thumbnails import Thumbnails

MOST_CARDS = 60
"""Of one check: the worst are shown, all are in the CSV and the JSON."""
MOST_PICTURE_BYTES = 4_000_000
"""Of all thumbnails, as text in the page, which then stays below 5 MB."""
MOST_LETTERS = 400
"""Of a sentence."""


def to_html(verdict: Verdict, most_picture_bytes: int = MOST_PICTURE_BYTES) -> str:
    """The page.

    Args:
        verdict: What was found.
        most_picture_bytes: Where thumbnails would need more, the worst of each check have one.
    """
    by_check = _by_check(verdict.faults)
    pictures = _pictures(verdict, by_check, most_picture_bytes)
    shown = [fault for faults in by_check.values() for fault in faults]
    body = BODY.substitute(
        head="\n".join([_sum(verdict), _table(verdict), *_figures(verdict)]),
        severities="\n".join(_box(verdict, level) for level in SEVERITIES),
        checks="".join(
            f'<option value="{name}">{escape(CHECKS[name].title)} ({count})</option>'
            for name, count in counts(verdict).items()
        ),
        cards="\n".join(_card(fault, pictures.get(id(fault), "")) for fault in shown),
    )
    title = "Labels checked: " + ", ".join(file.path.name for file in verdict.labels.files)
    return document(title, body, STYLE, SCRIPT)


def _by_check(faults: list[Fault]) -> dict[str, list[Fault]]:
    """The worst of each check, worst check first."""
    by_check: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if len(by_check[fault.check]) < MOST_CARDS:
            by_check[fault.check].append(fault)
    return by_check


def _pictures(
    verdict: Verdict, by_check: dict[str, list[Fault]], most_bytes: int
) -> dict[int, str]:
    """Thumbnails by fault; first the worst of each check, then the second, until they are full."""
    thumbnails = Thumbnails(verdict.labels)
    in_turns = [f for rank in zip_longest(*by_check.values()) for f in rank if f is not None]
    pictures: dict[int, str] = {}
    used = 0
    for fault in tqdm(in_turns, desc="drawing", unit="img", delay=5, disable=None):
        picture = thumbnails.data_uri(fault)
        if used + len(picture) > most_bytes:
            break
        used += len(picture)
        pictures[id(fault)] = picture
    return pictures


def _sum(verdict: Verdict) -> str:
    scheme = verdict.labels.scheme
    told = ", ".join(plural(verdict.count(level), level) for level in SEVERITIES)
    files = "".join(f"<p class=where>{escape(file.name)}</p>" for file in verdict.labels.files)
    return f"<p>{told}; {len(scheme.names)} keypoints, {escape(scheme.name)}</p>{files}"


def _table(verdict: Verdict) -> str:
    rows = "".join(
        f'<tr><td class=number>{count}</td><td class="{CHECKS[name].severity}">'
        f"{CHECKS[name].severity}</td><td>{escape(CHECKS[name].title)}</td></tr>"
        for name, count in counts(verdict).items()
    )
    most = f"<p class=where>Cards show the worst {MOST_CARDS} of each check.</p>"
    table = f"<div class=wide><table>{rows}</table></div>"
    return f"<details><summary>By check</summary>{table}{most}</details>"


def _figures(verdict: Verdict) -> list[str]:
    """A folded table of figures for each file."""
    tables = []
    for name, figures in verdict.statistics.items():
        rows = "".join(
            f"<tr><th>{escape(title)}</th><td>{escape(_told(value))}</td></tr>"
            for title, value in figures.items()
        )
        tables.append(
            f"<details><summary>Figures of {escape(name)}</summary>"
            f"<div class=wide><table>{rows}</table></div></details>"
        )
    return tables


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part:g}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _box(verdict: Verdict, level: str) -> str:
    return (
        f'<label class="{level}"><input type="checkbox" name="severity" value="{level}" checked>'
        f"{plural(verdict.count(level), level)}</label>"
    )


def _card(fault: Fault, picture: str) -> str:
    row = CHECKS[fault.check]
    where = [fault.image or fault.file]
    if fault.annotation_id is not None:
        where.append(f"annotation {fault.annotation_id}")
    sentence = fault.sentence
    if len(sentence) > MOST_LETTERS:
        sentence = sentence[: MOST_LETTERS - 1] + "…"
    image = f'<img src="{picture}" alt="" width="256" height="256">' if picture else ""
    return (
        f'<article data-check="{fault.check}" data-severity="{row.severity}">{image}<div>'
        f'<p class="kind {row.severity}">{row.severity}: {escape(row.title)}</p>'
        f"<p class=where>{escape(', '.join(where))}</p>"
        f"<p>{escape(sentence)}</p><p class=do>{escape(fault.to_do)}</p></div></article>"
    )
