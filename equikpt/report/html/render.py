"""Render jinja2 templates to pages of one file each: no server, no network, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from equikpt.evaluation.presentation import Column, number

JPEG_QUALITY = 72
MAX_LETTERS = 48
"""Length of a file name in a table."""


@dataclass(frozen=True)
class Table:
    """Sortable table.

    Args:
        label: Name for a screen reader.
        columns: The first one names the rows and stays in view.
        rows: One value a column.
        count: Number of rows before the table was cut; None: nothing was cut.
    """

    label: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | float | None]]
    count: int | None = None


@dataclass(frozen=True)
class Tile:
    """Key figure at the top of a page, with a line below it."""

    title: str
    value: str
    below: str = ""


@dataclass(frozen=True)
class Section:
    """Part of a page with a heading and an anchor.

    Args:
        name: Name of the anchor.
        title: Text of the heading.
        macro: Macro of ``sections.html.j2`` that renders it.
        content: Arguments of the macro.
    """

    name: str
    title: str
    macro: str
    content: dict[str, Any] = field(default_factory=dict)


def render(template: str, **context: Any) -> str:
    """Render a template of this package; text is escaped, JSON never ends its element.

    Raises:
        ValueError: JSON with a number that is not finite.
    """
    return ENVIRONMENT.get_template(template).render(**context)


def shortened(name: str, length: int = MAX_LETTERS) -> str:
    """Cut the middle out of a name that is longer than ``length`` letters."""
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}…{name[-half:]}"


def jpeg_uri(image: np.ndarray, quality: int = JPEG_QUALITY) -> str:
    """Encode an image (H, W, 3) uint8, BGR, as the ``src`` of an HTML image."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, shortened=shortened)
    environment.policies["json.dumps_kwargs"] = dict(
        allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return environment


ENVIRONMENT = _environment()
