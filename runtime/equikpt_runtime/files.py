"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside ``path`` that then takes its place, so that it is whole at any moment.

    Missing folders are made. A file that stands there is replaced; asking first is the caller's.

    Raises:
        OSError: The disk is full, or the folder or its files may not be written. What stood at
            ``path`` is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno is None:  # says already what is wrong
            raise
        kept = "; the file that stands there is as it was" if path.is_file() else ""
        raise type(error)(f"{path} cannot be written: {error.strerror}{kept}") from error
    finally:
        with contextlib.suppress(OSError):  # a folder that vanished, or may not be written
            part.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """:func:`write_bytes` for UTF-8 text."""
    write_bytes(path, content.encode())


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Stop before a file that exists would be replaced, or one could not be written.

    Raises:
        FileExistsError: ``path`` exists and ``overwrite`` is not set.
        OSError: It is a folder, or its folder cannot be written.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"expected {path} not to exist yet; choose another name or replace it with --overwrite"
        )
    if path.is_dir():
        raise IsADirectoryError(f"expected the name of a file to write, got the folder {path}")
    require_writable(path.parent)


def require_writable(folder: Path) -> None:
    """Stop before work whose results could not be written; a folder that is missing may be made.

    Raises:
        NotADirectoryError: A file stands where the folder, or one above it, should be.
        PermissionError: This user may not write there, or the disk is read-only.
        OSError: A name is too long, or links lead in a circle.
    """
    nearest = folder.absolute()
    while not _is_there(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"expected a folder to write to at {folder}, found the file {nearest}; name another"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(
            f"expected a folder that can be written at {folder}, but this user may not write in "
            f"{nearest}, or its disk is read-only; change its permissions or name another"
        )


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path.is_symlink()  # one that leads nowhere
    return True
