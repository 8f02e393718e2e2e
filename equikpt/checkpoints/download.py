"""Fetch one large file so that nothing half or wrong ever stands under its name.

pooch does the transfer, the tries and the waits between them, in a folder beside the file. Only a
complete file with the right SHA-256 gets the file's name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pooch
import requests
from requests import exceptions
from tqdm import tqdm
from urllib3.exceptions import NewConnectionError

from equikpt import __version__
from equikpt.core.errors import causes

Log = Callable[[str], None]
ATTEMPTS = 5
TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection counts as cut."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine, which may be asked over plain http."""


def download(
    url: str,
    path: Path,
    sha256_prefix: str = "",
    *,
    overwrite: bool = False,
    log: Log | None = None,
    confirm: Callable[[str], None] | None = None,
) -> bool:
    """Fetch ``url`` to ``path`` unless the right file is there already.

    Proxies are taken from ``http_proxy``, ``https_proxy`` and ``no_proxy``, certificates of one's
    own from ``REQUESTS_CA_BUNDLE``. Processes that fetch into one folder wait for each other.

    Args:
        url: Address, https; http for this machine alone. Redirects must be to the same.
        path: File to write; missing folders are made.
        sha256_prefix: Hexadecimal digits that the file's SHA-256 begins with. Empty where none are
            known: then any complete file is accepted, and one that stands there is kept.
        overwrite: Replace a file that is not the right one, or cannot be checked.
        log: Gets a line for everything a person who waits should know; MMEngine's log by default.
        confirm: Gets the SHA-256 of what came, before it stands under its name. What it raises
            keeps the file as :func:`unaccepted`, so that the next call fetches nothing.

    Returns:
        True if a new file stands at ``path``.

    Raises:
        ValueError: The address or the digits are malformed, or what came has another SHA-256.
        FileExistsError: Another file, or a folder, stands at ``path``.
        FileNotFoundError: The server does not have the file.
        ConnectionError: The server cannot be reached, refuses, or went away too often.
        OSError: The disk is full or may not be written to.
    """
    path, log = Path(path), log or _log
    if not _is_secure(url):
        raise ValueError(f"expected an address that begins with https://, got {url!r}")
    if not re.fullmatch(r"[0-9a-f]{0,64}", sha256_prefix):
        raise ValueError(f"expected the hexadecimal digits of a SHA-256, got {sha256_prefix!r}")
    if _is_there(path, sha256_prefix, overwrite):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.partial")
    with _locked(path.parent, log):
        if _is_there(path, sha256_prefix, overwrite):  # brought by a process that was waited for
            return False
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
        draft.mkdir()  # fails on a link
        try:
            file, found = _right_file(url, path, sha256_prefix, draft, log)
            if confirm is not None:
                file = file.replace(unaccepted(path))
                confirm(found)
            with file.open("rb") as content:
                os.fsync(content.fileno())
            file.replace(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return True


def size_bytes(url: str) -> int:
    """Ask the server for the size of a file; 0 where none answers that it knows."""
    try:
        headers = {"Accept-Encoding": "identity"}
        answer = requests.head(url, timeout=TIMEOUT_S, allow_redirects=True, headers=headers)
    except exceptions.RequestException:
        return 0
    return int(answer.headers.get("Content-Length", 0)) if answer.ok else 0


def unaccepted(path: Path) -> Path:
    """Return the file beside ``path`` that holds a complete download nobody has accepted yet."""
    return path.with_name(f"{path.name}.unaccepted")


def _right_file(
    url: str, path: Path, sha256_prefix: str, draft: Path, log: Log
) -> tuple[Path, str]:
    """The unaccepted file if it is the right one, else a new one in ``draft``; and its SHA-256."""
    kept = unaccepted(path)
    if kept.is_file() and not kept.is_symlink():
        found = pooch.file_hash(kept)
        if found.startswith(sha256_prefix):
            return kept, found
    file = _Transfer(url, path, log).into(draft)
    found = pooch.file_hash(file)
    if not found.startswith(sha256_prefix):
        raise ValueError(
            f"expected a file from {url} whose SHA-256 begins with {sha256_prefix}, got"
            f" {file.stat().st_size} bytes with {found}, which were deleted: try again; if the"
            " same come again, a proxy gives another file or the expected sum is wrong"
            " (check=False takes it)"
        )
    return file, found


def _is_secure(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _log(line: str) -> None:
    from mmengine.logging import MMLogger  # brings torch along, which a download does not need

    MMLogger.get_current_instance().info(line)


def _is_there(path: Path, sha256_prefix: str, overwrite: bool) -> bool:
    """Tell if the right file stands at ``path``; raise where a wrong one may not be replaced."""
    if not path.exists():
        return False
    if not path.is_file():
        raise FileExistsError(f"expected a file or nothing at {path}, found a folder; move it away")
    if not sha256_prefix:
        return not overwrite
    found = pooch.file_hash(path)
    if not found.startswith(sha256_prefix) and not overwrite:
        raise FileExistsError(
            f"expected {path} to have a SHA-256 that begins with {sha256_prefix}, it begins with"
            f" {found[: max(8, len(sha256_prefix))]}: the file is damaged or another one; move it "
            "away or replace it with overwrite"
        )
    return found.startswith(sha256_prefix)


@contextlib.contextmanager
def _locked(folder: Path, log: Log) -> Iterator[None]:
    """Hold a folder against other downloads; a disk that knows no locks holds nobody."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"waiting for another process that fetches into {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                raise
        yield
    finally:
        os.close(handle)


class _Transfer(pooch.HTTPDownloader):
    """One file on its way; what may be better at the next try stays an error of requests."""

    def __init__(self, url: str, path: Path, log: Log) -> None:
        super().__init__(
            timeout=TIMEOUT_S,
            # some servers refuse the names of libraries; packed bytes would have another sum
            headers={"User-Agent": f"equikpt/{__version__}", "Accept-Encoding": "identity"},
            hooks={"response": self._check},
        )
        self.url, self.path, self.log = url, path, log
        self.answered = False  # once a server has answered, a lost network is worth waiting for
        self.failures = 0

    def into(self, folder: Path) -> Path:
        """Fetch the file into a folder that is made for it."""
        pooch.get_logger().setLevel(logging.WARNING)  # it would name the draft
        name = self.path.name
        source = pooch.create(
            folder, "", registry={name: None}, urls={name: self.url}, retry_if_failed=ATTEMPTS - 1
        )
        try:
            file = Path(source.fetch(name, downloader=self))
        except exceptions.RequestException as error:
            raise ConnectionError(
                f"{self.url} could not be fetched ({reason_of(error)}) in {self.failures} tries; "
                "call again later"
            ) from error
        (folder / "new").touch()  # pooch's temporary files are for their owner alone
        shutil.copymode(folder / "new", file)
        return file

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        try:
            with tqdm(
                total=1, desc=self.path.name, unit="B", unit_scale=True, disable=None, leave=False
            ) as self.progressbar:
                super().__call__(url, output_file, pooch, check_only)
        except exceptions.RequestException as error:
            if _is_unreachable(error) and not self.answered:
                raise ConnectionError(
                    f"{self.url} cannot be reached ({reason_of(error)}): check the network, the "
                    "proxy (https_proxy, no_proxy) and its certificate (REQUESTS_CA_BUNDLE), or "
                    f"fetch the file on another machine and put it at {self.path}"
                ) from error
            self.failures += 1
            if self.failures < ATTEMPTS:
                self.log(f"{self.path.name}: {reason_of(error)}; trying again")
            raise

    def _check(self, response: requests.Response, **_: Any) -> None:
        """Check each answer, redirects included, before a byte of its content is read."""
        self.answered = True
        code, answer = response.status_code, f"{response.status_code} {response.reason}"
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if response.is_redirect:
            target = urllib.parse.urljoin(response.url, response.headers["Location"])
            from_https = response.url.startswith("https://")
            if not _is_secure(target) or (from_https and not target.startswith("https://")):
                raise ConnectionError(
                    f"{self.url} is redirected to {target}, which is not https, so that anybody on"
                    " the way could answer; fetch the file elsewhere and compare its SHA-256"
                )
        elif code >= 500 or code == 429:
            raise exceptions.HTTPError(f"the server answers {answer}")
        elif code in (404, 410):
            raise FileNotFoundError(f"{self.url} is not there (the server answers {answer})")
        elif code >= 400:
            raise ConnectionError(f"{self.url} is refused by the server or a proxy ({answer})")
        elif code != 200:
            raise exceptions.HTTPError("the server sends a part that was not asked for")
        elif kind == "text/html" and not self.url.endswith(".html"):
            raise ConnectionError(
                f"{self.url} is answered with a web page instead of the file: log in to the network"
                " or the proxy with a browser first"
            )


def _is_unreachable(error: exceptions.RequestException) -> bool:
    final = (exceptions.ProxyError, exceptions.SSLError, exceptions.ConnectTimeout)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, final) or isinstance(reason, NewConnectionError)


def reason_of(error: BaseException) -> str:
    """Return the system's words, below what requests and urllib3 wrap."""
    last = [*causes(error)][-1]
    return str(getattr(last, "strerror", None) or last or type(last).__name__).strip()
