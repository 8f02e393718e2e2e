"""Work that goes on, told on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_EVERY_S = 0.5


def progress(items: Iterable[Item], total: int, unit: str) -> Iterator[Item]:
    """Yield items, with a line on a terminal that says how many were.

    Args:
        items: Of any kind.
        total: Number of them; 0 where it is not known.
        unit: Their name.
    """
    start, of, count = time.monotonic(), f" of {total}" if total else "", 0
    due_s = start + _EVERY_S

    def show(end: str = "") -> None:
        rate = count / max(time.monotonic() - start, 1e-6)
        sys.stderr.write(f"\r{count}{of} {unit}, {rate:.1f} a second{end}")
        sys.stderr.flush()

    for item in items:
        yield item
        count += 1
        if sys.stderr.isatty() and time.monotonic() > due_s:
            due_s = time.monotonic() + _EVERY_S
            show()
    if sys.stderr.isatty():
        show("\n")
