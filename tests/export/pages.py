"""Serves a written page and opens it in a headless browser."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pooch
import pytest

from equikpt.export.page import ORT_URL, ORT_VERSION
from tests.browser import BROWSERS

DONE = "#status.error, #status:text-matches('px|Count|keypoint|peak|Refused|or more')"


def npm_package() -> Path:
    """The npm package onnxruntime-web of EQUIKPT_ORT_WEB or the cache, or the test is skipped."""
    cached = Path(pooch.os_cache("equikpt")) / ORT_URL.rsplit("/", 1)[-1]
    path = Path(os.environ.get("EQUIKPT_ORT_WEB", cached))
    if not path.exists():
        pytest.skip(f"onnxruntime-web {ORT_VERSION} is not at {path}: {ORT_URL}")
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser to open the page in; install one of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as control:
        flags = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        opened = control.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    isolated = False

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Isolated(_Handler):
    isolated = True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """A browser that closes early is nothing to report."""


@contextmanager
def served(folder: Path, isolated: bool = False) -> Iterator[str]:
    """The address of a folder; ``isolated`` with the headers that allow threads."""
    handler = functools.partial(_Isolated if isolated else _Handler, directory=str(folder))
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class OpenPage:
    """A page that has loaded its model.

    ``faults`` holds what its console said, and requests that failed or went elsewhere.
    """

    def __init__(self, opened: Any, address: str, **context: Any) -> None:
        self.context = opened.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)  # of machines with much else to do
        self.faults: list[str] = []
        self.page.on("console", lambda said: self._hear(f"{said.type}: {said.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self._check(request.url, address))
        self.page.goto(address)
        self.page.wait_for_selector("#status.error, #status:text-matches('^Ready')")

    def _hear(self, said: str) -> None:
        if "GPU stall due to ReadPixels" not in said:  # of the software renderer
            self.faults.append(said)

    def _check(self, url: str, address: str) -> None:
        if not url.startswith((address, "data:", f"blob:{address}")):
            self.faults.append(f"asked for {url}")

    @property
    def status(self) -> str:
        return self.page.inner_text("#status")

    def open(self, path: Path) -> str:
        """Open a file; the status line that comes of it."""
        self.page.set_input_files("#file", str(path))
        self.page.wait_for_selector(DONE)
        return self.status

    def csv(self) -> list[dict[str, str]]:
        """The rows of the csv that is downloaded."""
        import csv

        with self.page.expect_download() as download:
            self.page.click("#csv")
        with open(download.value.path(), newline="") as file:
            return list(csv.DictReader(file))

    def close(self) -> None:
        self.context.close()
