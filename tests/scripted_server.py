"""A web server on this machine that misbehaves on command."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ScriptedServer(ThreadingHTTPServer):
    """Serves ``content`` at every address; each of ``script`` deals with one request instead.

    ``requests`` holds what was asked for: (address as sent, Range header or None).
    """

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.script: list[Callable[[_Handler], None]] = []
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.requests]

    def handle_error(self, request, client_address) -> None:
        """A client that leaves early is nothing to report."""


@contextmanager
def serving(content: bytes) -> Iterator[ScriptedServer]:
    with ScriptedServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.headers.append(dict(self.headers))
        act = self.server.script.pop(0) if self.server.script else serve
        act(self)

    def do_HEAD(self) -> None:
        self.answer(200, b"", len(self.server.content))

    def log_message(self, *_: object) -> None:
        pass

    @property
    def start(self) -> int:
        """The first byte asked for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
        assert match is not None
        return int(match[1])

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """``length`` is what the answer claims to hold; the connection ends after ``body``."""
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def serve(handler: _Handler, limit: int | None = None) -> None:
    """As a good server does; ``limit`` cuts the connection after so many bytes."""
    content, start = handler.server.content, handler.start
    body = content[start:]
    if "Range" not in handler.headers:
        handler.answer(200, body[:limit], len(body))
    elif start >= len(content):
        handler.answer(416, b"", Content_Range=f"bytes */{len(content)}")
    else:
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.answer(206, body[:limit], len(body), Content_Range=place)


def cut(limit: int) -> Callable[[_Handler], None]:
    return lambda handler: serve(handler, limit)


def whole(content: bytes | None = None, limit: int | None = None) -> Callable[[_Handler], None]:
    """Everything from the start, whatever range was asked for."""

    def act(handler: _Handler) -> None:
        body = handler.server.content if content is None else content
        handler.answer(200, body[:limit], len(body))

    return act


def status(code: int, **headers: str) -> Callable[[_Handler], None]:
    return lambda handler: handler.answer(code, b"no", **headers)


def part(body: bytes, content_range: str) -> Callable[[_Handler], None]:
    return lambda handler: handler.answer(206, body, Content_Range=content_range)


def hang_up(handler: _Handler) -> None:
    """Close without a word."""
