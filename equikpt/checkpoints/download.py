"""Fetch one large file so that nothing half or wrong ever stands under its name.

Bytes go to ``NAME.part``, which a cut connection, a full disk or a stopped process leaves behind
and the next call continues. Only a complete file with the right SHA-256 is moved to ``NAME``.

The part is held by an advisory lock (``flock``) while it is written: a second process waits, then
finds the finished file. Parts with the process's number in their name would need no lock, but no
later process could continue them, and a stopped one would leave its own behind each time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from equikpt.checkpoints.http_transfer import CHUNK_BYTES, Patience, Transfer, is_secure


def download(
    url: str,
    path: Path,
    sha256_prefix: str = "",
    *,
    overwrite: bool = False,
    patience: Patience = Patience(),  # noqa: B008  # frozen
    tell: Callable[[str], None] | None = None,
    confirm: Callable[[str], None] | None = None,
) -> bool:
    """Fetch ``url`` to ``path`` unless the right file is there already.

    Proxies are taken from ``http_proxy``, ``https_proxy`` and ``no_proxy``.

    Args:
        url: Address, https; http for this machine alone. Redirects must be to the same.
        path: Where the file shall stand; missing folders are made.
        sha256_prefix: Hexadecimal digits that the file's SHA-256 begins with. Empty where none are
            known: then any complete file is accepted, and one that stands there is kept.
        overwrite: Replace a file that is not the right one, or cannot be checked.
        patience: Tries and waits.
        tell: Gets a line for everything a person who waits should know; the log by default.
        confirm: Gets the SHA-256 of what came, before it stands under its name; what it raises
            keeps the part, of which the next call needs no byte again.

    Returns:
        Whether anything was fetched.

    Raises:
        ValueError: The address or the digits are malformed, or what came has another SHA-256.
        FileExistsError: Another file, or a folder, stands at ``path``.
        FileNotFoundError: The server does not have the file.
        ConnectionError: The server cannot be reached, refuses, or went away too often.
        OSError: The disk is full or may not be written to, or a link stands at the part's name.
    """
    path = Path(path)
    if not is_secure(url):
        raise ValueError(f"expected an address that begins with https://, got {url!r}")
    if not re.fullmatch(r"[0-9a-f]{0,64}", sha256_prefix):
        raise ValueError(f"expected the hexadecimal digits of a SHA-256, got {sha256_prefix!r}")
    tell = tell or _log
    if _is_there(path, sha256_prefix, overwrite):
        return False
    with _locked_part(path, tell) as part:
        if _is_there(path, sha256_prefix, overwrite):  # brought by a process that was waited for
            return False
        with tqdm(desc=path.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
            Transfer(url, path, part, bar, patience, tell).run()
        found = _check(part, url, sha256_prefix)
        if confirm is not None:
            confirm(found)
        os.fsync(part.fileno())
        os.replace(part_of(path), path)
    return True


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with file.open("rb") as content:
        return _sha256(content)


def _sha256(content: io.BufferedIOBase | io.RawIOBase) -> str:
    digest = hashlib.sha256()
    content.seek(0)
    while chunk := content.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _log(line: str) -> None:
    from mmengine.logging import MMLogger  # brings torch along, which a download does not need

    MMLogger.get_current_instance().info(line)


def _is_there(path: Path, sha256_prefix: str, overwrite: bool) -> bool:
    """Whether the right file stands at ``path``; an error where a wrong one may not be replaced."""
    if not path.exists():
        return False
    if not path.is_file():
        raise FileExistsError(f"expected a file or nothing at {path}, found a folder; move it away")
    if not sha256_prefix:
        return not overwrite
    found = sha256_of(path)
    if found.startswith(sha256_prefix):
        return True
    if overwrite:
        return False
    raise FileExistsError(
        f"expected {path} to have a SHA-256 that begins with {sha256_prefix}, it begins with"
        f" {found[: max(8, len(sha256_prefix))]}: the file is damaged or another one; move it away"
        " or replace it with --overwrite"
    )


def _check(part: io.FileIO, url: str, sha256_prefix: str) -> str:
    found = _sha256(part)
    if not found.startswith(sha256_prefix):
        size_bytes = part.seek(0, os.SEEK_END)
        part.truncate(0)  # the lock's end removes an empty part
        raise ValueError(
            f"expected a file from {url} whose SHA-256 begins with {sha256_prefix}, got"
            f" {size_bytes} bytes with {found}, which were deleted: try again; if the same come"
            " again, a proxy gives another file or the expected sum is wrong (--no-check takes it)"
        )
    return found


def part_of(path: Path) -> Path:
    """The file beside ``path`` that holds what has come of it so far."""
    return path.with_name(f"{path.name}.part")


@contextlib.contextmanager
def _locked_part(path: Path, tell: Callable[[str], None]) -> Iterator[io.FileIO]:
    """The part file, open and held against other processes; an empty one is removed at the end."""
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _open_locked(part, tell)
    except OSError as error:
        raise OSError(
            f"{part} cannot be written ({error.strerror}); choose another folder"
        ) from error
    with file:
        try:
            yield file
        finally:
            if os.fstat(file.fileno()).st_size == 0:
                part.unlink(missing_ok=True)


def _open_own(part: Path) -> int:
    """Open the part without following a link, which would write into another file.

    Raises:
        OSError: A link, or no ordinary file, stands there.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(part, flags, 0o666)
    except OSError as error:
        if not part.is_symlink():
            raise
        raise OSError(error.errno, "it is a link, and writing would change another file") from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise OSError(errno.EEXIST, "it is a link or no ordinary file; move it away")
    return handle


def _open_locked(part: Path, tell: Callable[[str], None]) -> io.FileIO:
    while True:
        # unbuffered, so that what was written is on file when the process is stopped
        file = io.FileIO(_open_own(part), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another process that writes {part}")
            fcntl.flock(file, fcntl.LOCK_EX)
        # the process that held the lock may have moved or deleted the file under it
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                return file
        file.close()
