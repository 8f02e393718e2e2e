from __future__ import annotations

import hashlib
import http.client
import os
import resource
import socket
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import requests
from urllib3.util import connection

from equikpt.checkpoints import download as module
from equikpt.checkpoints.download import download, sha256_of
from equikpt.core.errors import is_user_error, sentence
from tests.scripted_server import cut, hang_up, part, serve, serving, status, whole

CONTENT = np.random.default_rng(0).bytes(600_000)  # more than two chunks, not a multiple of one
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """No proxies, three tries, and the waits between them noted instead of waited for."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    waited: list[float] = []
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    monkeypatch.setattr("pooch.core.time.sleep", waited.append)
    return waited


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "weights" / "model.pth"


@pytest.fixture
def kept(path) -> Path:
    """What an earlier call fetched and nobody accepted; a test fills it."""
    path.parent.mkdir()
    return path.with_name("model.pth.unaccepted")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def get(server, path, told):
    """Download from the server to ``path``."""

    def call(sha256=SHA256[:8], url=f"{server.origin}/model.pth", **options):
        return download(url, path, sha256, tell=told.append, **options)

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


def test_a_cut_connection_is_tried_again(get, server, path, told):
    server.script = [cut(250_000), cut(100_000)]
    assert get() is True
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]
    assert len(server.requests) == 3
    assert len(told) == 2
    assert told[0].startswith("model.pth: ")


def test_tries_end(get, server, path, told):
    server.script = [cut(200_000)] * 20
    assert "in 3 tries" in fails(ConnectionError, get)
    assert len(server.requests) == 3
    assert len(told) == 2
    assert files(path) == []


def test_a_part_that_nobody_asked_for_is_not_used(get, server, path):
    server.script = [part(CONTENT[7:], "bytes 7-599999/600000")]
    get()
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_what_a_killed_process_left_is_removed(get, path):
    left = path.with_name(".model.pth.partial")
    left.mkdir(parents=True)
    (left / "tmp123").write_bytes(CONTENT[:1000])
    get()
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]


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


def test_what_was_kept_and_is_wrong_is_fetched_anew(get, server, path, kept):
    kept.write_bytes(b"x" * 1000)
    assert get() is True
    assert path.read_bytes() == CONTENT


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


def test_waits_grow(get, server, waits):
    server.script = [status(503)] * 9
    message = fails(ConnectionError, get)
    assert "(the server answers 503 Service Unavailable) in 3 tries" in message
    assert len(waits) == 2
    assert waits[0] < waits[1]
    assert len(server.requests) == 3


def test_a_silent_server_is_given_up(get, server, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.03)
    released = threading.Event()
    server.script = [lambda _: released.wait(10)] * 3
    message = fails(ConnectionError, get)
    released.set()
    assert "timed out" in message


def test_a_stalled_transfer_is_tried_again(get, server, path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    released = threading.Event()

    def act(handler):
        serve(handler, 1000)
        handler.wfile.flush()
        released.wait(10)

    server.script = [act]
    get()
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
    assert told == ["model.pth: No route to host; trying again"]


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
    connect, failures = connection.create_connection, [OSError("Network is unreachable")]

    def sometimes(*args, **kwargs):
        if server.requests and failures:
            raise failures.pop()
        return connect(*args, **kwargs)

    monkeypatch.setattr(connection, "create_connection", sometimes)
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
def test_https_is_never_left(start, allowed, path, told):
    """The server speaks http alone: the answer of an https one is made by hand."""
    answer = requests.Response()
    answer.status_code, answer.url = 302, f"{start}://localhost/m.pth"
    answer.headers["Location"] = "http://localhost/m.pth"
    transfer = module._Transfer(answer.url, path, told.append)
    if allowed:
        transfer._inspect(answer)
    else:
        with pytest.raises(ConnectionError, match="which is not https"):
            transfer._inspect(answer)


def test_a_link_at_the_kept_files_name_costs_no_other_file(get, server, path, kept):
    other = path.with_name("mine")
    other.write_bytes(CONTENT)
    kept.symlink_to(other)
    assert get(confirm=lambda found: None) is True
    assert other.read_bytes() == CONTENT
    assert not path.is_symlink()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_link_at_the_drafts_name_costs_no_other_file(get, path):
    other = path.parent.parent / "mine"
    other.mkdir(parents=True)
    (other / "precious").touch()
    path.parent.mkdir()
    path.with_name(".model.pth.partial").symlink_to(other)
    assert "cannot be written" in fails(OSError, get)
    assert [file.name for file in other.iterdir()] == ["precious"]


def test_what_is_not_confirmed_is_kept_and_not_fetched_again(get, server, path):
    def refuse(found):
        raise ValueError(f"not {found}")

    with pytest.raises(ValueError, match=f"^not {SHA256}$"):
        get(confirm=refuse)
    assert files(path) == ["model.pth.unaccepted"]
    accepted = []
    assert get(confirm=accepted.append) is True
    assert accepted == [SHA256]
    assert files(path) == ["model.pth"]
    assert len(server.requests) == 1


# --- disk ---


def test_a_disk_without_room(get, server, path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(1, 1, 599_999))
    message = fails(OSError, get)
    assert "expected 0.6 MB of free disk" in message
    assert files(path) == []
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(1, 1, 600_000))
    assert get() is True


def test_a_disk_that_fills_up(get, server, path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (590_000, hard))  # inside the last chunk
    try:
        message = fails(OSError, get)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large)" in message
    assert files(path) == []
    assert len(server.requests) == 1  # a short write is the disk's, not the connection's


def test_a_folder_that_is_a_file(get, path):
    path.parent.write_text("mine")
    message = fails(OSError, get)
    assert "model.pth cannot be written" in message
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
    assert download(url, path, SHA256[:8], tell=tell) is False
    first.join()
    assert results == [True]
    assert told == [f"waiting for another process that fetches into {path.parent}"]
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
    download(url, path, SHA256[:8], tell=lambda _: released.set())
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
    download(f"{server.origin}/model.pth", path, SHA256)
    assert lines == ["model.pth: the server answers 503 Service Unavailable; trying again"]
