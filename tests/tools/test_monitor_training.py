from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPO
from tests.report.written_runs import config, write_start

TOOL = "monitor_training.py"


@pytest.fixture
def run(tmp_path):
    """The work dir of a finished run."""
    val = {1: dict(val_loss=3.0), 2: dict(val_loss=2.0)}
    write_start(tmp_path / "run", [4.0, 3.0, 2.0, 1.0], val, cfg=config(2))
    return tmp_path / "run"


def test_the_state_as_text_and_the_curves_as_files(run_tool, run, tmp_path):
    png, html = tmp_path / "out" / "curves.png", tmp_path / "out" / "curves.html"
    done = run_tool(TOOL, "--work-dir", run, "--png", png, "--html", html)
    assert done.returncode == 0, done.stderr
    assert "finished, epoch 2 of 2, step 40 of 40 (100%)" in done.stdout
    assert "2 in epoch 2" in done.stdout
    assert png.read_bytes().startswith(b"\x89PNG")
    assert html.read_text().startswith("<!doctype html>")
    refused = run_tool(TOOL, "--work-dir", run, "--png", png)
    assert refused.returncode == 2
    assert re.fullmatch(r"error: expected .*curves.png not to exist yet.*\n", refused.stderr)
    assert run_tool(TOOL, "--work-dir", run, "--png", png, "--force").returncode == 0


def test_a_run_that_went_wrong_has_another_exit_code(run_tool, tmp_path):
    write_start(tmp_path, [4.0, float("nan")], cfg=config(90))
    done = run_tool(TOOL, "--work-dir", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "error: The training loss is nan since epoch 1." in done.stdout


def test_watching_a_finished_run_ends_at_once(run_tool, run):
    done = run_tool(TOOL, "--work-dir", run, "--watch", "--interval", "0.2", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished, epoch 2 of 2") == 1


def test_watching_in_a_terminal_ends_with_ctrl_c(tmp_path):
    pty = pytest.importorskip("pty", reason="there are no pseudo terminals here")
    write_start(tmp_path, [4.0, 3.0], cfg=config(90))
    terminal, process_side = pty.openpty()
    command = [sys.executable, str(REPO / "tools" / TOOL), "--work-dir", str(tmp_path), "--watch"]
    process = subprocess.Popen(
        command,
        stdout=process_side,
        stderr=subprocess.PIPE,
        # a shell starts what goes to the background with Ctrl-C ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        shown, asked, deadline = b"", False, time.monotonic() + 120
        # read on to the end: a terminal that nobody reads is full after a few screens
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096)
            if not asked and b"epoch 2 of 90" in shown:
                process.send_signal(signal.SIGINT)
                asked = True
        assert asked, shown
        assert process.poll() == 0, shown
    finally:
        process.kill()
        os.close(terminal)
        os.close(process_side)


def test_runs_side_by_side(run_tool, run, tmp_path):
    other = tmp_path / "other"
    write_start(other, [4.0, 3.5], {1: dict(val_loss=3.5)}, cfg=config(9))
    png, html = tmp_path / "both.png", tmp_path / "both.html"
    done = run_tool(TOOL, "--compare", run, other, "--png", png, "--html", html)
    assert done.returncode == 0, done.stderr
    assert re.search(r"run +│ finished +│ 2 +│ epoch 2", done.stdout)
    assert re.search(r"train_cfg.max_epochs +│ 2 +│ 9", done.stdout)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Differences of the configs" in html.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--work-dir", "missing"], "error: expected the work dir of a run, found no folder"),
        (["--compare", "missing"], "expected two or more work dirs after --compare"),
        (
            ["--work-dir", ".", "--watch", "--interval", "0"],
            "--interval: expected a number above 0",
        ),
        ([], "one of the arguments --work-dir --compare is required"),
    ],
    ids=["no folder", "one run", "no interval", "nothing"],
)
def test_a_wrong_call_is_one_sentence(run_tool, arguments, words):
    done = run_tool(TOOL, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_a_row_has_no_curves(run_tool, tmp_path):
    write_start(tmp_path / "run", [], cfg=config())
    done = run_tool(TOOL, "--work-dir", tmp_path / "run", "--png", tmp_path / "out.png")
    assert done.returncode == 2
    assert "starting" in done.stdout
    assert done.stderr.startswith("error: expected a run that has logged something")
