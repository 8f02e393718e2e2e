"""One file over HTTP into a part file, through cut connections and busy servers.

Python's own ``urllib`` does the talking: what installs equikpt brings no other client, and it knows
the usual proxy variables.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from tqdm import tqdm

from equikpt import __version__

CHUNK_BYTES = 2**18
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine, which may be asked over plain http."""
MB = 1e6


@dataclass(frozen=True)
class Patience:
    """How long to wait for a network, and how often to try again.

    Attributes:
        attempts: Failures in a row after which to give up. A try that brought new bytes does not
            count, so a connection that is cut every few megabytes still gets to the end.
        backoff_s: Seconds before the second try; they double with each further one.
        timeout_s: Seconds without a byte after which a connection counts as cut.
    """

    attempts: int = 5
    backoff_s: float = 1.0
    timeout_s: float = 30.0


class _Interrupted(Exception):
    """Something that may be better at the next try."""


class _PlainHttp(Exception):
    """A redirect to an address that anybody on the way could answer."""


def is_secure(url: str) -> bool:
    """Return True for an https address, and for an http address of this machine."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        from_https = req.full_url.startswith("https://")
        if not is_secure(newurl) or (from_https and not newurl.startswith("https://")):
            raise _PlainHttp(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class Transfer:
    """One file on its way into its part."""

    url: str
    path: Path
    part: io.FileIO
    bar: tqdm
    patience: Patience
    tell: Callable[[str], None]
    answered: bool = False  # once a server has answered, a lost network is worth waiting for
    takes_ranges: bool = True

    def run(self) -> None:
        """Transfer until the part is complete, through interruptions."""
        furthest = self._size()
        failures = 0
        while True:
            try:
                self._attempt()
            except _Interrupted as error:
                failures = 1 if self._size() > furthest else failures + 1
                furthest = max(furthest, self._size())
                if failures >= self.patience.attempts:
                    raise ConnectionError(
                        f"{self.url} could not be fetched ({error}) in {failures} tries; the first"
                        f" {self._size() / MB:.1f} MB are kept, call again to go on from there"
                    ) from error
                wait_s = self.patience.backoff_s * 2 ** (failures - 1)
                self.tell(f"{self.path.name}: {error}; trying again in {wait_s:g} s")
                time.sleep(wait_s)
            else:
                return

    def _attempt(self) -> None:
        resumes = self._size() > 0 and self.takes_ranges
        if not resumes:
            self._restart()
        try:
            response = self._open(self._size())
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 416 or not resumes:
                    raise self._refusal(error) from error
                if _content_range(error.headers) == (None, self._size()):
                    return  # nothing was missing
            self._restart()  # the part is longer than the file
            self._attempt()
            return
        with response:
            self._refuse_web_page(response)
            start, total = self._place(response)
            if start == self._size():
                self._copy(response, start, total)
                return
        if not resumes:
            raise _Interrupted("the server sends a part that was not asked for")
        self.takes_ranges = False  # it sends another range than it was asked for
        self._attempt()

    def _open(self, start: int) -> http.client.HTTPResponse:
        headers = {"User-Agent": f"equikpt/{__version__}"}  # some servers refuse urllib's own
        if start:
            headers["Range"] = f"bytes={start}-"
        request = urllib.request.Request(self.url, headers=headers)
        # a new opener each time: the shared one keeps the proxies of its first use
        opener = urllib.request.build_opener(_SecureRedirects)
        try:
            response = opener.open(request, timeout=self.patience.timeout_s)
        except _PlainHttp as error:
            raise ConnectionError(
                f"{self.url} is redirected to {error}, which is not https, so that anybody on the "
                "way could answer; fetch the file elsewhere and compare its SHA-256"
            ) from error
        except urllib.error.HTTPError:
            self.answered = True
            raise
        except urllib.error.URLError as error:
            if self.answered and not isinstance(error.reason, ssl.SSLError):
                raise _Interrupted(f"no connection: {_reason(error.reason)}") from error
            raise ConnectionError(
                f"{self.url} cannot be reached ({_reason(error.reason)}): check the network and the"
                " proxy (https_proxy, no_proxy), or fetch the file on another machine and put it"
                f" at {self.path}"
            ) from error
        except (http.client.HTTPException, OSError) as error:
            raise _Interrupted(f"no answer: {_reason(error)}") from error
        self.answered = True
        return response

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        answer = f"{error.code} {error.reason}"
        if error.code >= 500 or error.code == 429:
            return _Interrupted(f"the server answers {answer}")
        if error.code in (404, 410):
            return FileNotFoundError(f"{self.url} is not there (the server answers {answer})")
        return ConnectionError(f"{self.url} is refused by the server or a proxy ({answer})")

    def _refuse_web_page(self, response: http.client.HTTPResponse) -> None:
        if response.headers.get_content_type() == "text/html" and not self.url.endswith(".html"):
            raise ConnectionError(
                f"{self.url} is answered with a web page instead of the file: log in to the network"
                " or the proxy with a browser first"
            )

    def _place(self, response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
        """Where in the file the answer begins and how long the file is, bytes, as far as told."""
        if response.status == 206:
            return _content_range(response.headers)
        length = response.headers.get("Content-Length", "")
        self._restart()  # a complete file, whether or not a range was asked for
        return self._size(), int(length) if length.isdigit() else None

    def _copy(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        if total is not None:
            self._refuse_full_disk(total - start)
        self.bar.total = total
        self.bar.n = start
        self.bar.refresh()
        while chunk := _read(response):
            self._write(chunk)
            self.bar.update(len(chunk))
        if total is not None and self._size() < total:
            raise _Interrupted(f"connection cut at {self._size()} of {total} bytes")

    def _refuse_full_disk(self, needed_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self.path.parent).free
        if free_bytes < needed_bytes:
            raise OSError(
                f"expected {needed_bytes / MB:.1f} MB of free disk for {self.path}, found"
                f" {free_bytes / MB:.1f} MB; make room or choose another folder"
            )

    def _write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[self.part.write(left) :]
        except OSError as error:
            raise OSError(
                f"{self.path} cannot be written ({error.strerror}); make room and call again, what"
                " came is kept"
            ) from error

    def _restart(self) -> None:
        self.part.truncate(0)

    def _size(self) -> int:
        """Bytes in the part, with the next one to be written behind them."""
        return self.part.seek(0, os.SEEK_END)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes, none at the end; an answer that ends early looks the same."""
    try:
        return response.read(CHUNK_BYTES)
    except (http.client.HTTPException, OSError) as error:
        raise _Interrupted(f"connection cut: {_reason(error)}") from error


def _content_range(headers: Message) -> tuple[int | None, int | None]:
    """First byte and length of the file from ``bytes 5-9/10`` or ``bytes */10``, if told."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    if match is None:
        return None, None
    first, total = match.groups()
    return int(first) if first else None, None if total == "*" else int(total)


def _reason(error: object) -> str:
    """What went wrong without error numbers."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).strip()
