from __future__ import annotations

import hashlib
import http.client
import os
import resource
import socket
import threading
import urllib.request
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from equikpt.checkpoints import download as module
from equikpt.checkpoints import http_transfer
from equikpt.checkpoints.download import download, sha256_of
from equikpt.checkpoints.http_transfer import Patience
from equikpt.core.errors import is_user_error, sentence
from tests.scripted_server import cut, hang_up, part, serve, serving, status, whole

CONTENT = np.random.default_rng(0).bytes(600_000)  # more than two chunks, not a multiple of one
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATIENCE = Patience(attempts=3, backoff_s=0.001, timeout_s=5)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "weights" / "model.pth"


@pytest.fixture
def left(path) -> Path:
    """The part file of an earlier call; a test fills it."""
    path.parent.mkdir()
    return path.with_name("model.pth.part")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def get(server, path, told):
    """Download from the server to ``path``."""

    def call(sha256=SHA256[:8], url=f"{server.origin}/model.pth", patience=PATIENCE, **options):
        return download(url, path, sha256, patience=patience, tell=told.append, **options)

    return call


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def fails(kind: type[Exception], get, **options) -> str:
    """The one sentence that a tool would print."""
    with pytest.raises(kind) as caught:
        get(**options)
    assert is_user_error(caught.value)
    return sentence(caught.value)


# --- what goes well ---


def test_the_file_stands_there_and_nothing_else(get, server, path, told):
    assert get() is True
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]
    assert server.requests == [("/model.pth", None)]
    assert server.headers[0]["User-Agent"].startswith("equikpt/")
    assert told == []


def identity(path) -> tuple[int, int, int]:
    """What a new file would change; reading one changes its time of access."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def test_the_right_file_is_kept_without_a_request(get, server, path):
    get()
    before = identity(path)
    assert get() is False
    assert get(overwrite=True) is False
    assert identity(path) == before
    assert len(server.requests) == 1


def test_permissions_are_those_of_any_new_file(get, path):
    get()
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_without_a_known_sum_any_file_is_kept_until_overwritten(get, server, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    assert get(sha256="") is False
    assert server.requests == []
    assert get(sha256="", overwrite=True) is True
    assert path.read_bytes() == CONTENT


def test_sha256_of_a_file_longer_than_a_chunk(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    assert sha256_of(tmp_path / "file") == SHA256


# --- cut connections ---


def test_a_cut_connection_goes_on_where_it_ended(get, server, path, told):
    server.script = [cut(250_000), cut(100_000)]
    assert get() is True
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=250000-", "bytes=350000-"]
    assert [line.split(";")[0] for line in told] == [
        "model.pth: connection cut at 250000 of 600000 bytes",
        "model.pth: connection cut at 350000 of 600000 bytes",
    ]


def test_tries_that_bring_bytes_do_not_count(get, server, path):
    server.script = [cut(70_000)] * 8
    get(patience=Patience(attempts=2, backoff_s=0.001))
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 9


def test_the_same_bytes_again_and_again_are_given_up(get, server, path):
    server.script = [whole(limit=200_000)] * 20
    message = fails(ConnectionError, get)
    assert "connection cut at 200000 of 600000 bytes" in message
    assert "the first 0.2 MB are kept" in message
    # the first brought bytes; after it PATIENCE.attempts in all brought none
    assert len(server.requests) == PATIENCE.attempts
    assert files(path) == ["model.pth.part"]


def test_a_part_of_an_earlier_call_is_continued(get, server, path, left):
    left.write_bytes(CONTENT[:123_456])
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=123456-"]
    assert files(path) == ["model.pth"]


def test_a_server_that_ignores_ranges_starts_anew(get, server, path, left):
    left.write_bytes(b"x" * 123_456)
    server.script = [whole()]
    get()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(part(CONTENT[50:], "bytes 50-599999/600000"), id="another range"),
        pytest.param(part(CONTENT[100:], "bytes=100-"), id="malformed"),
        pytest.param(part(CONTENT[100:], "bytes */600000"), id="no range"),
    ],
)
def test_another_range_than_asked_for_is_not_used(answer, get, server, path, left):
    left.write_bytes(CONTENT[:100])
    server.script = [answer]
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=100-", None]


def test_a_part_that_nobody_asked_for_is_not_used(get, server, path):
    server.script = [part(CONTENT[7:], "bytes 7-599999/600000")]
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_complete_part_needs_no_more_bytes(get, server, path, left):
    left.write_bytes(CONTENT)
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=600000-"]


@pytest.mark.parametrize("answer", [serve, status(416)], ids=["length told", "no length told"])
def test_a_part_that_is_too_long_starts_anew(answer, get, server, path, left):
    left.write_bytes(CONTENT + b"more")
    server.script = [answer]
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == ["bytes=600004-", None]


def test_an_answer_without_a_length_ends_with_the_connection(get, server, path):
    def act(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.script = [act]
    get()
    assert path.read_bytes() == CONTENT


# --- wrong content ---


def test_wrong_content_is_deleted(get, server, path):
    server.script = [whole(b"another file")]
    message = fails(ValueError, get)
    assert f"SHA-256 begins with {SHA256[:8]}, got 12 bytes with " in message
    assert hashlib.sha256(b"another file").hexdigest() in message
    assert files(path) == []


def test_a_damaged_part_is_deleted_and_the_next_call_starts_anew(get, server, path, left):
    left.write_bytes(b"x" * 1000)
    fails(ValueError, get)
    assert files(path) == []
    assert get() is True


def test_a_wrong_file_is_never_replaced_silently(get, server, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    message = fails(FileExistsError, get)
    assert f"begins with {SHA256[:8]}, it begins with" in message
    assert "--overwrite" in message
    assert (path.read_bytes(), server.requests) == (b"mine", [])
    assert get(overwrite=True) is True
    assert path.read_bytes() == CONTENT


def test_overwriting_keeps_the_old_file_until_the_new_one_is_right(get, server, path):
    path.parent.mkdir()
    path.write_bytes(b"mine")
    server.script = [whole(b"another file")]
    fails(ValueError, get, overwrite=True)
    assert path.read_bytes() == b"mine"
    assert files(path) == ["model.pth"]


def test_a_web_page_is_not_a_checkpoint(get, server, path):
    def act(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.end_headers()
        handler.wfile.write(b"<html>log in</html>")

    server.script = [act]
    assert "answered with a web page" in fails(ConnectionError, get, sha256="")
    assert files(path) == []


# --- servers that refuse ---


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (404, FileNotFoundError, "is not there (the server answers 404 Not Found)"),
        (410, FileNotFoundError, "is not there (the server answers 410 Gone)"),
        (403, ConnectionError, "is refused by the server or a proxy (403 Forbidden)"),
        (407, ConnectionError, "is refused by the server or a proxy (407 "),
    ],
)
def test_a_refusal_is_final(code, kind, words, get, server, path, told):
    server.script = [status(code)]
    message = fails(kind, get)
    assert f"{server.origin}/model.pth {words}" in message
    assert len(server.requests) == 1
    assert (files(path), told) == ([], [])


@pytest.mark.parametrize("act", [status(503), status(429), hang_up], ids=["503", "429", "hang up"])
def test_a_busy_server_is_asked_again(act, get, server, path, told):
    server.script = [act, act]
    get()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3
    assert len(told) == 2


def test_a_busy_server_does_not_cost_the_part(get, server, path, left):
    left.write_bytes(CONTENT[:1000])
    server.script = [status(500)]
    get()
    assert server.ranges == ["bytes=1000-", "bytes=1000-"]


def test_waits_double(get, server, monkeypatch):
    waits = []
    monkeypatch.setattr(http_transfer.time, "sleep", waits.append)
    server.script = [status(503)] * 9
    message = fails(ConnectionError, get, patience=Patience(attempts=4, backoff_s=0.5))
    assert "(the server answers 503 Service Unavailable) in 4 tries" in message
    assert waits == [0.5, 1.0, 2.0]
    assert len(server.requests) == 4


def test_a_silent_server_is_given_up(get, server, path):
    released = threading.Event()
    server.script = [lambda _: released.wait(10)] * 2
    message = fails(ConnectionError, get, patience=Patience(2, 0.001, timeout_s=0.03))
    released.set()
    assert "no answer: timed out" in message


def test_a_stalled_transfer_goes_on(get, server, path):
    released = threading.Event()

    def act(handler):
        serve(handler, 1000)
        handler.wfile.flush()
        released.wait(10)

    server.script = [act]
    get(patience=Patience(2, 0.001, timeout_s=0.1))
    released.set()
    assert path.read_bytes() == CONTENT


def test_a_route_that_vanishes_is_a_cut(get, server, path, told, monkeypatch):
    read, failures = http.client.HTTPResponse.read, [OSError(113, "No route to host")]

    def sometimes(response, *args):
        if failures:
            raise failures.pop()
        return read(response, *args)

    monkeypatch.setattr(http.client.HTTPResponse, "read", sometimes)
    get()
    assert path.read_bytes() == CONTENT
    assert told == ["model.pth: connection cut: No route to host; trying again in 0.001 s"]


# --- no network ---


def test_nobody_listens(get, path, told):
    with serving(b"") as gone:
        url = f"{gone.origin}/model.pth"
    message = fails(ConnectionError, get, url=url)
    assert message.startswith(f"{url} cannot be reached (Connection refused): check the network")
    assert str(path) in message
    assert told == []  # an offline machine is told at once, not after all tries
    assert files(path) == []


def test_no_such_host(get, monkeypatch):
    def lookup(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    message = fails(ConnectionError, get, url="https://nowhere.invalid/model.pth")
    assert "cannot be reached (Name or service not known)" in message


def test_a_network_lost_on_the_way_is_waited_for(get, server, path, monkeypatch):
    connect, failures = socket.create_connection, [OSError("Network is unreachable")]

    def sometimes(*args, **kwargs):
        if server.requests and failures:
            raise failures.pop()
        return connect(*args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", sometimes)
    server.script = [cut(1000)]
    get()
    assert path.read_bytes() == CONTENT
    assert failures == []


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_the_proxy_is_asked(variable, get, server, path, monkeypatch):
    monkeypatch.setenv(variable, server.origin)
    get(url="http://localhost/model.pth")
    assert path.read_bytes() == CONTENT
    assert server.requests == [("http://localhost/model.pth", None)]


def test_a_host_without_proxy(get, server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get() is True


def test_an_https_proxy_that_refuses(get, server, monkeypatch):
    monkeypatch.setenv("https_proxy", server.origin)  # knows no CONNECT
    message = fails(ConnectionError, get, url="https://weights.invalid/model.pth")
    assert "cannot be reached (Tunnel connection failed: 501" in message


# --- who could answer ---


@pytest.mark.parametrize(
    "url", ["http://weights.example/m.pth", "ftp://localhost/m.pth", "file:///etc/passwd"]
)
def test_plain_http_is_for_this_machine_alone(url, get, server):
    assert "begins with https://" in fails(ValueError, get, url=url)
    assert server.requests == []


@pytest.mark.parametrize("target", ["http://weights.example/m.pth", "ftp://localhost/m.pth"])
def test_a_redirect_to_plain_http_is_not_followed(target, get, server, path):
    server.script = [status(302, Location=target)]
    message = fails(ConnectionError, get)
    assert f"is redirected to {target}, which is not https" in message
    assert len(server.requests) == 1
    assert files(path) == []


def test_a_redirect_within_this_machine_is_followed(get, server, path):
    server.script = [status(302, Location=f"{server.origin}/other.pth")]
    assert get() is True
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("start", "allowed"), [("https", False), ("http", True)])
def test_https_is_never_left(start, allowed):
    request = urllib.request.Request(f"{start}://localhost/m.pth")
    handler = http_transfer._SecureRedirects()
    redirect = (request, None, 302, "", {}, "http://localhost/m.pth")
    if allowed:
        assert handler.redirect_request(*redirect).full_url == "http://localhost/m.pth"
    else:
        with pytest.raises(http_transfer._PlainHttp):
            handler.redirect_request(*redirect)


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_link_at_the_parts_name_costs_no_other_file(link, get, server, path, left):
    other = path.with_name("mine")
    other.write_bytes(b"mine")
    link(other, left)
    assert "it is a link" in fails(OSError, get)
    assert (other.read_bytes(), server.requests) == (b"mine", [])


def test_what_is_not_confirmed_is_kept_as_a_part(get, server, path):
    def refuse(found):
        raise ValueError(f"not {found}")

    assert fails_with(get, refuse) == f"not {SHA256}"
    assert files(path) == ["model.pth.part"]
    accepted = []
    assert get(confirm=accepted.append) is True
    assert accepted == [SHA256]
    assert server.ranges[1:] == [f"bytes={len(CONTENT)}-"]


def fails_with(get, confirm) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        get(confirm=confirm)
    return str(caught.value)


# --- disk ---


def test_a_disk_without_room(get, server, path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(http_transfer.shutil, "disk_usage", lambda _: usage(1, 1, 599_999))
    message = fails(OSError, get)
    assert "expected 0.6 MB of free disk" in message
    assert files(path) == []
    monkeypatch.setattr(http_transfer.shutil, "disk_usage", lambda _: usage(1, 1, 600_000))
    assert get() is True


def test_only_the_rest_of_a_part_needs_room(get, path, left, monkeypatch):
    usage = namedtuple("usage", "total used free")
    left.write_bytes(CONTENT[:-10])
    monkeypatch.setattr(http_transfer.shutil, "disk_usage", lambda _: usage(1, 1, 10))
    assert get() is True


def test_a_disk_that_fills_up(get, server, path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (590_000, hard))  # inside the last chunk
    try:
        message = fails(OSError, get)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large)" in message
    assert path.with_name("model.pth.part").read_bytes() == CONTENT[:590_000]
    assert len(server.requests) == 1  # a short write is the disk's, not the connection's
    get()
    assert server.ranges == [None, "bytes=590000-"]


def test_a_folder_that_is_a_file(get, path):
    path.parent.write_text("mine")
    message = fails(OSError, get)
    assert "model.pth.part cannot be written" in message
    assert "choose another folder" in message


def test_a_folder_in_the_files_place(get, path):
    path.mkdir(parents=True)
    assert "found a folder" in fails(FileExistsError, get)


# --- two at once ---


def test_a_second_process_waits_and_finds_the_file(get, server, path, told):
    asked, released, results = threading.Event(), threading.Event(), []

    def act(handler):
        asked.set()
        released.wait(10)
        serve(handler)

    def tell(line):
        told.append(line)
        released.set()

    server.script = [act]
    first = threading.Thread(target=lambda: results.append(get()))
    first.start()
    assert asked.wait(10)
    url = f"{server.origin}/model.pth"
    assert download(url, path, SHA256[:8], patience=PATIENCE, tell=tell) is False
    first.join()
    assert results == [True]
    assert told == [f"waiting for another process that writes {path}.part"]
    assert len(server.requests) == 1
    assert files(path) == ["model.pth"]


def test_a_second_process_goes_on_when_the_first_fails(get, server, path):
    asked, released, errors = threading.Event(), threading.Event(), []

    def act(handler):
        asked.set()
        released.wait(10)
        status(404)(handler)

    def fail():
        with pytest.raises(FileNotFoundError) as caught:
            get()
        errors.append(caught.value)

    server.script = [act]
    first = threading.Thread(target=fail)
    first.start()
    assert asked.wait(10)
    url = f"{server.origin}/model.pth"
    # the part it waits for is deleted by the first; its bytes must not go to a file without a name
    download(url, path, SHA256[:8], patience=PATIENCE, tell=lambda _: released.set())
    first.join()
    assert len(errors) == 1
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]


# --- arguments ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "file:///etc/passwd"}, "begins with https://, got 'file:"),
        ({"sha256": "7A041AA1"}, "hexadecimal digits of a SHA-256, got '7A041AA1'"),
        ({"sha256": "0" * 65}, "hexadecimal digits"),
    ],
)
def test_malformed_arguments(options, words, get, server):
    assert words in fails(ValueError, get, **options)
    assert server.requests == []


def test_lines_go_to_the_log_unless_taken(server, path, monkeypatch):
    lines = []
    monkeypatch.setattr(module, "_log", lines.append)
    server.script = [status(503)]
    download(f"{server.origin}/model.pth", path, SHA256, patience=PATIENCE)
    assert lines == [
        "model.pth: the server answers 503 Service Unavailable; trying again in 0.001 s"
    ]
