"""Pieces of HTML that several sections of a report use. Texts come as they are and are escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

MISSING = "–"


@dataclass(frozen=True)
class Section:
    """A part of the page; an empty ``html`` is left out.

    Args:
        name: Of its anchor.
        title: Of its heading.
        html: Below the heading.
    """

    name: str
    title: str
    html: str


@dataclass(frozen=True)
class Column:
    """A column of a sortable table.

    Args:
        title: Of its button.
        numbers: Whether it holds numbers, which stand at the right.
        digits: Behind the point, of numbers that are not whole.
    """

    title: str
    numbers: bool = True
    digits: int = 0


def number(value: float | None, digits: int) -> str:
    """With so many digits behind the point; a dash for what is not there."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}f}"


def shortened(name: str, most: int = 48) -> str:
    """A name with its middle left out where it is longer than ``most`` letters."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def tell(text: str) -> str:
    """A paragraph that explains."""
    return f"<p class=tell>{escape(text)}</p>"


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values."""
    return "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows
    ).join(("<table class=facts><tbody>", "</tbody></table>"))


def card(title: str, html: str) -> str:
    """A box with a small heading, empty where there is nothing to show."""
    return f"<div class=card><h3>{escape(title)}</h3>{html}</div>" if html else ""


def tile(title: str, value: str, below: str = "") -> str:
    """A figure to see first."""
    return (
        f"<div class=tile><span>{escape(title)}</span><b>{escape(value)}</b>"
        f"<span>{escape(below)}</span></div>"
    )


def box(label: str, table: str) -> str:
    """A frame in which a table that is wider than the page scrolls by itself."""
    return (
        f'<div class="box wide" role=region tabindex=0 aria-label="{escape(label)}">{table}</div>'
    )


def folded(table: str, shown: int, count: int) -> str:
    """A long table behind a line to click, of the first ``shown`` of ``count`` rows."""
    rows = f"the worst {shown} of {count}" if shown < count else f"all {count}"
    return f"<details><summary>Table of {rows}</summary>{table}</details>"


def sort_button(title: str, kind: str = "") -> str:
    """A heading that sorts its table."""
    classes = f' class="{kind}"' if kind else ""
    return (
        f"<th scope=col aria-sort=none{classes}><button type=button>{escape(title)}</button></th>"
    )


def sortable_table(
    label: str, columns: Sequence[Column], rows: Sequence[Sequence[str | float | None]]
) -> str:
    """A table in a frame; its headings sort it.

    Args:
        label: For those who do not see it.
        columns: The first is the rows' name and stays in view.
        rows: A value a column.
    """
    kinds = ["number" if column.numbers else "" for column in columns]
    kinds[0] = f"pin {kinds[0]}".strip()
    heads = "".join(
        sort_button(column.title, kind) for column, kind in zip(columns, kinds, strict=True)
    )
    lines = [
        "".join(
            _cell(value, column, kind, first=index == 0)
            for index, (value, column, kind) in enumerate(zip(row, columns, kinds, strict=True))
        )
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return box(
        label,
        f"<table class=sortable><thead><tr>{heads}</tr></thead>"
        f"<tbody class=rows>{body}</tbody></table>",
    )


def _cell(value: str | float | None, column: Column, kind: str, first: bool) -> str:
    if isinstance(value, str):
        text, key = value, value
    else:
        text = number(value, column.digits)
        key = "" if text == MISSING else f"{value:.6g}"
    name, scope = ("th", " scope=row") if first else ("td", "")
    classes = f' class="{kind}"' if kind else ""
    return f'<{name}{scope}{classes} data-value="{escape(key)}">{escape(text)}</{name}>'
