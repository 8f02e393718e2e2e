"""The tool as a person runs it, on a machine that reaches nothing or one server of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from equikpt.checkpoints.zoo import CHECKPOINTS, find
from tests.scripted_server import cut, serving, whole

TOOL = Path(__file__).resolve().parents[2] / "tools" / "download_checkpoints.py"
CONTENT = bytes(range(256)) * 2000
FILE = f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"

# Port 9 of this machine answers nobody: whatever a test does wrong, nothing leaves the machine.
OFFLINE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "127.0.0.1",
}


@pytest.fixture
def run(run_tool):
    return lambda *arguments, **env: run_tool(
        "download_checkpoints.py", *arguments, env={**OFFLINE, "COLUMNS": "200", **env}, timeout=60
    )


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def run_with_row(server):
    """The tool with a row more, whose file is on the server."""

    def call(*arguments):
        code = (
            "import runpy, sys\n"
            "from equikpt.checkpoints import zoo as checkpoints\n"
            f"row = checkpoints.Checkpoint('net', '{server.origin}/{FILE}', 'ap10k', 'a', 'b')\n"
            "checkpoints.CHECKPOINTS += (row,)\n"
            f"sys.argv = {[str(TOOL), *map(str, arguments)]!r}\n"
            f"runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
        )
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=TOOL.parents[1],
            env={**os.environ, **OFFLINE},
        )

    return call


def error_of(done) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_list_shows_every_row(run, tmp_path):
    done = run("--list", "--dest", tmp_path)
    assert done.returncode == 0, done.stderr
    for row in CHECKPOINTS:
        assert f"│ {row.name} " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_list_of_one(run, tmp_path):
    (tmp_path / find("hrnet_w32_ap10k").file_name).write_bytes(b"half")
    done = run("--list", "hrnet_w32_ap10k", "--dest", tmp_path)
    assert "there, wrong SHA-256" in done.stdout
    assert "rtmpose_m_ap10k" not in done.stdout


def test_no_name(run):
    assert "expected names of released weights, or 'all', got none" in error_of(run())


def test_unknown_name(run, tmp_path):
    message = error_of(run("hrnet_w32_ap10k", "rtmpose_x", "--dest", tmp_path / "new"))
    assert "got 'rtmpose_x'; there are rtmpose_m_ap10k, " in message
    assert not (tmp_path / "new").exists()  # found out before anything is fetched


def test_offline(run, tmp_path):
    message = error_of(run("hrnet_w32_imagenet", "--dest", tmp_path))
    assert "hrnet_w32-36af842e.pth cannot be reached (Connection refused)" in message
    assert f"put it at {tmp_path}" in message


def test_a_file_that_cannot_be_checked_is_kept(run, tmp_path):
    path = tmp_path / find("cspnext_m_coco_aic").file_name
    path.write_bytes(b"from elsewhere")
    message = error_of(run("cspnext_m_coco_aic", "--dest", tmp_path))
    digest = hashlib.sha256(b"from elsewhere").hexdigest()
    assert f"--accept-sha256 {digest}" in message
    done = run("cspnext_m_coco_aic", "--dest", tmp_path, "--accept-sha256", digest)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{path} (kept; there, valid)",
        "  --cfg-options model.backbone.init_cfg.type=Pretrained"
        f" model.backbone.init_cfg.checkpoint={path} model.backbone.init_cfg.prefix=backbone.",
    ]


def test_fetched_then_kept(run_with_row, server, tmp_path):
    server.script = [cut(100_000)]
    digest = hashlib.sha256(CONTENT).hexdigest()
    done = run_with_row("net", "--dest", tmp_path / "new", "--accept-sha256", digest)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "new" / FILE
    assert path.read_bytes() == CONTENT
    told, *rest = done.stdout.splitlines()
    assert told.startswith(f"{FILE}: ")
    assert told.endswith("; trying again")
    assert rest == [f"{path} (fetched; there, valid)", f"  --cfg-options load_from={path}"]
    again = run_with_row("net", "--dest", tmp_path / "new")
    assert again.stdout.splitlines()[0] == f"{path} (kept; there, valid)"
    assert len(server.requests) == 2


def test_a_wrong_file(run_with_row, server, tmp_path):
    path = tmp_path / FILE
    path.write_bytes(b"mine")
    message = error_of(run_with_row("net", "--dest", tmp_path))
    assert "replace it with --overwrite" in message
    assert path.read_bytes() == b"mine"

    server.script = [whole(b"another"), whole(b"another")]
    message = error_of(run_with_row("net", "--dest", tmp_path, "--overwrite"))
    assert "--no-check takes it" in message
    assert path.read_bytes() == b"mine"
    done = run_with_row("net", "--dest", tmp_path, "--overwrite", "--no-check")
    assert f"{path} (fetched; there, wrong SHA-256)" in done.stdout
    assert path.read_bytes() == b"another"


def test_missing_on_the_server(run_with_row, server, tmp_path):
    from tests.scripted_server import status

    server.script = [status(404)]
    message = error_of(run_with_row("net", "--dest", tmp_path))
    assert f"{server.origin}/{FILE} is not there (the server answers 404 Not Found)" in message
