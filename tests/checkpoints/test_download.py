from __future__ import annotations

import hashlib
import http.client
import os
import resource
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import requests
from urllib3.util import connection

from equikpt.checkpoints import download as module
from equikpt.checkpoints.download import download
from equikpt.core.errors import is_user_error, sentence
from tests.scripted_server import cut, hang_up, part, serve, serving, status, whole

CONTENT = np.random.default_rng(0).bytes(600_000)
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
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights" / "model.pth"


@pytest.fixture
def kept(path) -> Path:
    """The name of what an earlier call fetched and nobody accepted."""
    return path.with_name("model.pth.unaccepted")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def get(server, path, lines):
    """Download from the server to ``path``."""

    def call(sha256=SHA256[:8], url=f"{server.origin}/model.pth", **options):
        return download(url, path, sha256, **{"log": lines.append, **options})

    return call


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def fails(kind: type[Exception], get, **options) -> str:
    """The one sentence that a tool would print."""
    with pytest.raises(kind) as caught:
        get(**options)
    assert is_user_error(caught.value)
    return sentence(caught.value)


def answer(content: bytes, **headers: str):
    """An answer without a length, which ends with the connection."""

    def act(handler):
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return act


# --- what goes well ---


def test_the_file_stands_there_and_nothing_else(get, server, path, lines):
    path.parent.rmdir()
    assert get() is True
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]
    assert server.requests == [("/model.pth", None)]
    assert server.headers[0]["User-Agent"].startswith("equikpt/")
    assert lines == []
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode  # that of any new file


def test_the_right_file_is_kept_without_a_request(get, server, path):
    get()
    before = path.stat().st_ino, path.stat().st_mtime_ns
    assert get() is False
    assert get(overwrite=True) is False
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before
    assert len(server.requests) == 1


def test_without_a_known_sum_any_file_is_kept_until_overwritten(get, server, path):
    path.write_bytes(b"mine")
    assert get(sha256="") is False
    assert server.requests == []
    assert get(sha256="", overwrite=True) is True
    assert path.read_bytes() == CONTENT


def test_lines_go_to_the_log_unless_taken(get, server, lines, monkeypatch):
    monkeypatch.setattr(module, "_log", lines.append)
    server.script = [status(503)]
    get(log=None)
    assert lines == ["model.pth: the server answers 503 Service Unavailable; trying again"]


# --- cut connections ---


@pytest.mark.parametrize(
    ("script", "retries"),
    [
        pytest.param([cut(250_000), cut(100_000)], 2, id="cut"),
        pytest.param([part(CONTENT[7:], "bytes 7-599999/600000")], 1, id="a part"),
        pytest.param([answer(CONTENT)], 0, id="no length"),
        pytest.param([status(503)] * 2, 2, id="503"),
        pytest.param([status(429)] * 2, 2, id="429"),
        pytest.param([hang_up] * 2, 2, id="hang up"),
    ],
)
def test_what_may_be_better_the_next_time_is_tried_again(get, server, path, lines, script, retries):
    server.script = [*script]
    assert get() is True
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]
    assert server.ranges == [None] * (max(len(script), retries + 1))
    assert [line.startswith("model.pth: ") for line in lines] == [True] * retries


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (cut(200_000), "in 3 tries"),
        (status(503), "503 Service Unavailable) in 3 tries"),
    ],
)
def test_tries_end_and_waits_grow(get, server, path, lines, waits, act, words):
    server.script = [act] * 20
    assert words in fails(ConnectionError, get)
    assert len(server.requests) == 3
    assert len(lines) == len(waits) == 2
    assert waits[0] < waits[1]
    assert files(path) == []


@pytest.mark.parametrize("sent", [0, 1000], ids=["silent", "stalled"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_server_that_stops_sending_is_a_cut(get, server, path, monkeypatch, sent, times):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    released = threading.Event()

    def act(handler):
        if sent:
            serve(handler, sent)
            handler.wfile.flush()
        released.wait(10)

    server.script = [act] * times
    if times == 1:
        get()
        assert path.read_bytes() == CONTENT
    else:
        assert "timed out" in fails(ConnectionError, get)
    released.set()


def test_a_route_that_vanishes_is_a_cut(get, path, lines, monkeypatch):
    read, failures = http.client.HTTPResponse.read, [OSError(113, "No route to host")]

    def sometimes(response, *args):
        if failures:
            raise failures.pop()
        return read(response, *args)

    monkeypatch.setattr(http.client.HTTPResponse, "read", sometimes)
    get()
    assert path.read_bytes() == CONTENT
    assert lines == ["model.pth: No route to host; trying again"]


def test_what_a_killed_process_left_is_removed(get, path):
    left = path.with_name(".model.pth.partial")
    left.mkdir()
    (left / "tmp123").write_bytes(CONTENT[:1000])
    get()
    assert files(path) == ["model.pth"]


# --- wrong content ---


@pytest.mark.parametrize("stands", [None, b"mine"], ids=["none", "another file"])
def test_wrong_content_is_deleted_and_replaces_nothing(get, server, path, stands):
    if stands:
        path.write_bytes(stands)
    server.script = [whole(b"another file")]
    message = fails(ValueError, get, overwrite=True)
    assert hashlib.sha256(b"another file").hexdigest() in message
    assert files(path) == (["model.pth"] if stands else [])
    assert not stands or path.read_bytes() == stands


def test_a_wrong_file_is_never_replaced_silently(get, server, path):
    path.write_bytes(b"mine")
    assert "overwrite" in fails(FileExistsError, get)
    assert (path.read_bytes(), server.requests) == (b"mine", [])
    assert get(overwrite=True) is True
    assert path.read_bytes() == CONTENT


def test_a_web_page_is_not_a_checkpoint(get, server, path):
    server.script = [answer(b"<html>log in</html>", Content_Type="text/html; charset=utf-8")]
    assert "answered with a web page" in fails(ConnectionError, get, sha256="")
    assert files(path) == []


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


def test_what_was_kept_and_is_wrong_is_fetched_anew(get, path, kept):
    kept.write_bytes(b"x" * 1000)
    assert get() is True
    assert path.read_bytes() == CONTENT


# --- who does not answer, or another one ---


@pytest.mark.parametrize(
    ("code", "kind"),
    [(404, FileNotFoundError), (410, FileNotFoundError), (403, ConnectionError)]
    + [(407, ConnectionError)],
)
def test_a_refusal_is_final(code, kind, get, server, path, lines):
    server.script = [status(code)]
    message = fails(kind, get)
    assert f"{server.origin}/model.pth" in message
    assert str(code) in message
    assert len(server.requests) == 1
    assert (files(path), lines) == ([], [])


def test_an_offline_machine_is_found_out_at_once(get, path, lines, monkeypatch):
    with serving(b"") as gone:
        url = f"{gone.origin}/model.pth"
    message = fails(ConnectionError, get, url=url)
    assert message.startswith(f"{url} cannot be reached (Connection refused): check the network")
    assert str(path) in message

    def lookup(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    message = fails(ConnectionError, get, url="https://nowhere.invalid/model.pth")
    assert "cannot be reached (Name or service not known)" in message
    assert (files(path), lines) == ([], [])


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


def test_a_host_without_proxy(get, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get() is True


def test_an_https_proxy_that_refuses(get, server, monkeypatch):
    monkeypatch.setenv("https_proxy", server.origin)  # knows no CONNECT
    message = fails(ConnectionError, get, url="https://weights.invalid/model.pth")
    assert "cannot be reached (Tunnel connection failed: 501" in message


@pytest.mark.parametrize("target", ["http://weights.example/m.pth", "ftp://localhost/m.pth", ""])
def test_a_redirect_is_followed_to_https_and_within_this_machine(target, get, server, path):
    server.script = [status(302, Location=target or f"{server.origin}/other.pth")]
    if target:
        assert target in fails(ConnectionError, get)
        assert len(server.requests) == 1
        assert files(path) == []
    else:
        assert get() is True


@pytest.mark.parametrize(("start", "allowed"), [("https", False), ("http", True)])
def test_https_is_never_left(start, allowed, path, lines):
    """The server speaks http alone: the answer of an https one is made by hand."""
    answer = requests.Response()
    answer.status_code, answer.url = 302, f"{start}://localhost/m.pth"
    answer.headers["Location"] = "http://localhost/m.pth"
    transfer = module._Transfer(answer.url, path, lines.append)
    if allowed:
        transfer._check(answer)
    else:
        with pytest.raises(ConnectionError, match="which is not https"):
            transfer._check(answer)


@pytest.mark.parametrize(
    "options",
    [
        dict(url="http://weights.example/m.pth"),
        dict(url="ftp://localhost/m.pth"),
        dict(url="file:///etc/passwd"),
        dict(sha256="7A041AA1"),
        dict(sha256="0" * 65),
    ],
    ids=lambda options: next(iter(options.values()))[:30],
)
def test_malformed_arguments(options, get, server):
    assert repr(next(iter(options.values()))) in fails(ValueError, get, **options)
    assert server.requests == []


# --- files and folders ---


def test_a_link_at_the_kept_files_name_costs_no_other_file(get, server, path, kept):
    other = path.with_name("mine")
    other.write_bytes(CONTENT)
    kept.symlink_to(other)
    assert get(confirm=lambda found: None) is True
    assert other.read_bytes() == CONTENT
    assert not path.is_symlink()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_link_at_the_drafts_name_costs_no_other_file(get, path, tmp_path):
    other = tmp_path / "mine"
    other.mkdir()
    (other / "precious").touch()
    path.with_name(".model.pth.partial").symlink_to(other)
    assert ".model.pth.partial cannot be used" in fails(OSError, get)
    assert [file.name for file in other.iterdir()] == ["precious"]


def test_a_disk_that_fills_up(get, server, path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (590_000, hard))  # inside the last chunk
    try:
        message = fails(OSError, get)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in message
    assert files(path) == []
    assert len(server.requests) == 1  # a short write is the disk's, not the connection's


def test_a_folder_and_a_file_in_each_others_stead(get, path):
    path.mkdir()
    assert "found a folder" in fails(FileExistsError, get)
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("mine")
    assert "cannot be used" in fails(OSError, get)


# --- two at once ---


@pytest.mark.parametrize("act", [serve, status(404)], ids=["finds the file", "goes on"])
def test_a_second_process_waits(get, server, path, lines, act):
    asked, released, results = threading.Event(), threading.Event(), []

    def slowly(handler):
        asked.set()
        released.wait(10)
        act(handler)

    def first():
        try:
            results.append(get())
        except FileNotFoundError as error:
            results.append(type(error))

    def release(line):
        lines.append(line)
        released.set()

    server.script = [slowly]
    thread = threading.Thread(target=first)
    thread.start()
    assert asked.wait(10)
    found = get(log=release)
    thread.join()
    assert (results, found) == (([True], False) if act is serve else ([FileNotFoundError], True))
    assert lines == [f"waiting for another process that fetches into {path.parent}"]
    assert len(server.requests) == 1 + found
    assert path.read_bytes() == CONTENT
    assert files(path) == ["model.pth"]
