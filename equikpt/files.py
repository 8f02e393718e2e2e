"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` to write to; what is there afterwards takes its place.

    Missing folders are made. A file that stands there is replaced; asking first is the caller's.

    Raises:
        OSError: The disk is full, or the folder or its files may not be written. What stood at
            ``path`` is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno is None:  # says already what is wrong
            raise
        kept = "; the file that stands there is as it was" if path.is_file() else ""
        raise type(error)(f"{path} cannot be written: {error.strerror}{kept}") from error
    finally:
        with contextlib.suppress(OSError):  # a folder that vanished, or may not be written
            part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` as a whole, by :func:`replacing`."""
    with replacing(path) as part, part.open("wb") as file:
        file.write(content)


def sweep_parts(folder: Path) -> list[str]:
    """Delete what :func:`replacing` left in a folder when its process was killed; their names."""
    swept = []
    for path in folder.glob(".*.part"):
        made = re.fullmatch(r"\..+\.(\d+)\.part", path.name)
        if made and not _is_running(int(made[1])):
            path.unlink(missing_ok=True)
            swept.append(path.name)
    return swept


def _is_running(pid: int) -> bool:
    if pid == os.getpid():  # a number that came round again: this process writes nothing now
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


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
