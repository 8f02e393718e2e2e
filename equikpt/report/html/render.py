"""Render jinja2 templates to pages of one file each: no server, no network, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tqdm import tqdm

from equikpt.core.columns import number

JPEG_QUALITY = 72
MAX_LETTERS = 48
"""Length of a file name in a table."""

Item = TypeVar("Item")


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


def jpeg_uri(image: np.ndarray) -> str:
    """Encode an image (H, W, 3) uint8, BGR, as the ``src`` of an HTML image."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def drawn_in_turns(
    groups: Iterable[Sequence[Item]], draw: Callable[[Item], np.ndarray | None], max_bytes: int
) -> Iterator[tuple[Item, str]]:
    """Draw the first of each group, then the second, until the bytes are spent.

    Yields:
        An item and its image as :func:`jpeg_uri`, empty where there is none.
    """
    turns = [item for rank in zip_longest(*groups) for item in rank if item is not None]
    used = 0
    for item in tqdm(turns, desc="drawing", unit="img", delay=5, disable=None):
        image = draw(item)
        uri = "" if image is None else jpeg_uri(image)
        used += len(uri)
        if used > max_bytes:
            break
        yield item, uri


ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(number=number, shortened=shortened)
ENVIRONMENT.policies["json.dumps_kwargs"] = dict(
    allow_nan=False, ensure_ascii=False, separators=(",", ":")
)
