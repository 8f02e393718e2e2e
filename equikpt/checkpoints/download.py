"""Fetch one large file so that nothing half or wrong ever stands under its name.

pooch does the talking, the tries and the waits between them, in a folder beside the file. Only a
complete file with the right SHA-256 gets the file's name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
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

ATTEMPTS = 5
"""Tries after which to give up."""
TIMEOUT_S = 30.0
"""Seconds without a byte after which a connection counts as cut."""
CHUNK_BYTES = 2**18
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine, which may be asked over plain http."""
MB = 1e6


def download(
    url: str,
    path: Path,
    sha256_prefix: str = "",
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] | None = None,
    confirm: Callable[[str], None] | None = None,
) -> bool:
    """Fetch ``url`` to ``path`` unless the right file is there already.

    Proxies are taken from ``http_proxy``, ``https_proxy`` and ``no_proxy``, certificates of one's
    own from ``REQUESTS_CA_BUNDLE``. Processes that fetch into one folder wait for each other.

    Args:
        url: Address, https; http for this machine alone. Redirects must be to the same.
        path: Where the file shall stand; missing folders are made.
        sha256_prefix: Hexadecimal digits that the file's SHA-256 begins with. Empty where none are
            known: then any complete file is accepted, and one that stands there is kept.
        overwrite: Replace a file that is not the right one, or cannot be checked.
        tell: Gets a line for everything a person who waits should know; the log by default.
        confirm: Gets the SHA-256 of what came, before it stands under its name. What it raises
            keeps the file as :func:`unaccepted`, so that the next call fetches nothing.

    Returns:
        True if a file came to stand at ``path``.

    Raises:
        ValueError: The address or the digits are malformed, or what came has another SHA-256.
        FileExistsError: Another file, or a folder, stands at ``path``.
        FileNotFoundError: The server does not have the file.
        ConnectionError: The server cannot be reached, refuses, or went away too often.
        OSError: The disk is full or may not be written to.
    """
    path = Path(path)
    if not is_secure(url):
        raise ValueError(f"expected an address that begins with https://, got {url!r}")
    if not re.fullmatch(r"[0-9a-f]{0,64}", sha256_prefix):
        raise ValueError(f"expected the hexadecimal digits of a SHA-256, got {sha256_prefix!r}")
    tell = tell or _log
    if _is_there(path, sha256_prefix, overwrite):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent, tell):
            # a process that was waited for may have brought it
            if _is_there(path, sha256_prefix, overwrite):
                return False
            _bring(url, path, sha256_prefix, tell, confirm)
    except OSError as error:
        if error.errno is None:  # one of our own sentences
            raise
        raise OSError(
            f"{path} cannot be written ({error.strerror}); make room or choose another folder"
        ) from error
    return True


def _bring(
    url: str,
    path: Path,
    sha256_prefix: str,
    tell: Callable[[str], None],
    confirm: Callable[[str], None] | None,
) -> None:
    kept = unaccepted(path)
    draft = path.with_name(f".{path.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    draft.mkdir()  # fails on a link
    try:
        if kept.is_file() and not kept.is_symlink() and sha256_of(kept).startswith(sha256_prefix):
            file = kept
        else:
            file = _Transfer(url, path, tell).into(draft)
        found = sha256_of(file)
        if not found.startswith(sha256_prefix):
            raise ValueError(
                f"expected a file from {url} whose SHA-256 begins with {sha256_prefix}, got"
                f" {file.stat().st_size} bytes with {found}, which were deleted: try again; if the"
                " same come again, a proxy gives another file or the expected sum is wrong"
                " (--no-check takes it)"
            )
        if confirm is not None:
            os.replace(file, kept)
            file = kept
            confirm(found)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        os.replace(file, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def unaccepted(path: Path) -> Path:
    """Return the file beside ``path`` that holds a complete download nobody has accepted yet."""
    return path.with_name(f"{path.name}.unaccepted")


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def is_secure(url: str) -> bool:
    """Return True for an https address, and for an http address of this machine."""
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


@contextlib.contextmanager
def _locked(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder against other downloads; a disk that knows no locks holds nobody."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another process that fetches into {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                raise
        yield
    finally:
        os.close(handle)


class _Transfer(pooch.HTTPDownloader):
    """One file on its way; what may be better at the next try stays an error of requests."""

    def __init__(self, url: str, path: Path, tell: Callable[[str], None]) -> None:
        super().__init__(
            chunk_size=CHUNK_BYTES,
            timeout=TIMEOUT_S,
            # some servers refuse the names of libraries; packed bytes would have another sum
            headers={"User-Agent": f"equikpt/{__version__}", "Accept-Encoding": "identity"},
            hooks={"response": self._inspect},
        )
        self.url, self.path, self.tell = url, path, tell
        self.answered = False  # once a server has answered, a lost network is worth waiting for
        self.failures = 0

    def into(self, folder: Path) -> Path:
        """Fetch the file into a folder that is made for it."""
        pooch.get_logger().setLevel(logging.WARNING)  # it would tell of the draft
        name = self.path.name
        source = pooch.create(
            folder, "", registry={name: None}, urls={name: self.url}, retry_if_failed=ATTEMPTS - 1
        )
        try:
            file = Path(source.fetch(name, downloader=self))
        except exceptions.RequestException as error:
            raise ConnectionError(
                f"{self.url} could not be fetched ({_reason(error)}) in {self.failures} tries; "
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
                    f"{self.url} cannot be reached ({_reason(error)}): check the network, the proxy"
                    " (https_proxy, no_proxy) and its certificate (REQUESTS_CA_BUNDLE), or fetch "
                    f"the file on another machine and put it at {self.path}"
                ) from error
            self.failures += 1
            if self.failures < ATTEMPTS:
                self.tell(f"{self.path.name}: {_reason(error)}; trying again")
            raise

    def _inspect(self, response: requests.Response, **_: Any) -> None:
        """Look at each answer, redirects included, before a byte of its content is read."""
        self.answered = True
        code, answer = response.status_code, f"{response.status_code} {response.reason}"
        if response.is_redirect:
            target = urllib.parse.urljoin(response.url, response.headers["Location"])
            from_https = response.url.startswith("https://")
            if not is_secure(target) or (from_https and not target.startswith("https://")):
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
        else:
            self._refuse_content(response)

    def _refuse_content(self, response: requests.Response) -> None:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind == "text/html" and not self.url.endswith(".html"):
            raise ConnectionError(
                f"{self.url} is answered with a web page instead of the file: log in to the network"
                " or the proxy with a browser first"
            )
        length = response.headers.get("Content-Length", "")
        free_bytes = shutil.disk_usage(self.path.parent).free
        if length.isdigit() and int(length) > free_bytes:
            raise OSError(
                f"expected {int(length) / MB:.1f} MB of free disk for {self.path}, found"
                f" {free_bytes / MB:.1f} MB; make room or choose another folder"
            )


def _is_unreachable(error: exceptions.RequestException) -> bool:
    final = (exceptions.ProxyError, exceptions.SSLError, exceptions.ConnectTimeout)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, final) or isinstance(reason, NewConnectionError)


def _reason(error: exceptions.RequestException) -> str:
    """Say what went wrong in the words of the system, below what requests and urllib3 wrap."""
    last = [*causes(error)][-1]
    return str(getattr(last, "strerror", None) or last or type(last).__name__).strip()
