"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import os
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` under a temporary name beside ``path`` and move it into place.

    Missing folders are made. A file that stands there is replaced; asking first is the caller's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """:func:`write_bytes` for UTF-8 text."""
    write_bytes(path, content.encode())


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Stop before a file that exists would be replaced.

    Raises:
        FileExistsError: ``path`` exists and ``overwrite`` is not set.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"expected {path} not to exist yet; choose another name or replace it with --overwrite"
        )
