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

TOOL = "monitor_training"


@pytest.fixture
def run(tmp_path):
    """The work dir of a finished run."""
    val = {1: dict(val_loss=3.0), 2: dict(val_loss=2.0)}
    write_start(tmp_path / "run", [4.0, 3.0, 2.0, 1.0], val, cfg=config(2))
    return tmp_path / "run"


def test_the_state_as_text_and_the_curves_as_files(call_tool, run, tmp_path):
    png, html = tmp_path / "out" / "curves.png", tmp_path / "out" / "curves.html"
    printed = call_tool(TOOL, "--work-dir", run, "--png", png, "--html", html)
    assert "finished, epoch 2 of 2, step 40 of 40 (100%)" in printed
    assert "2 in epoch 2" in printed
    assert png.read_bytes().startswith(b"\x89PNG")
    assert html.read_text().startswith("<!doctype html>")
    assert "curves.png" in call_tool(TOOL, "--work-dir", run, "--png", png, code=2)
    call_tool(TOOL, "--work-dir", run, "--png", png, "--force")


def test_a_run_that_went_wrong_has_another_exit_code(call_tool, tmp_path):
    write_start(tmp_path, [4.0, float("nan")], cfg=config(90))
    printed = call_tool(TOOL, "--work-dir", tmp_path, code=1)
    assert "error: The training loss is nan since epoch 1." in printed


def test_watching_a_finished_run_ends_at_once(call_tool, run):
    printed = call_tool(TOOL, "--work-dir", run, "--watch", "--interval", "0.2")
    assert printed.count("finished, epoch 2 of 2") == 1


@pytest.mark.slow
def test_watching_in_a_terminal_ends_with_ctrl_c(tmp_path):
    pty = pytest.importorskip("pty", reason="there are no pseudo terminals here")
    write_start(tmp_path, [4.0, 3.0], cfg=config(90))
    terminal, process_side = pty.openpty()
    tool = str(REPO / "tools" / f"{TOOL}.py")
    process = subprocess.Popen(
        [sys.executable, tool, "--work-dir", str(tmp_path), "--watch"],
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


def test_runs_side_by_side(call_tool, run, tmp_path):
    other, png, html = tmp_path / "other", tmp_path / "both.png", tmp_path / "both.html"
    write_start(other, [4.0, 3.5], {1: dict(val_loss=3.5)}, cfg=config(9))
    printed = call_tool(TOOL, "--compare", run, other, "--png", png, "--html", html)
    assert re.search(r"run +│ finished +│ 2 +│ epoch 2", printed)
    assert re.search(r"train_cfg.max_epochs +│ 2 +│ 9", printed)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Differences of the configs" in html.read_text()


def test_a_run_without_a_row_has_no_curves(call_tool, tmp_path):
    write_start(tmp_path / "run", [], cfg=config())
    assert "starting" in call_tool(TOOL, "--work-dir", tmp_path / "run")
    arguments = ("--work-dir", tmp_path / "run", "--png", tmp_path / "out.png")
    assert "has logged something" in call_tool(TOOL, *arguments, code=2)
