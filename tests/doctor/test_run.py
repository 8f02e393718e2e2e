"""Checks cannot end each other, and the table shows what they found."""

import builtins
import json
import signal
import subprocess
import sys

import pytest

from equikpt.core.issues import Issue
from equikpt.doctor.checks import CHECKS
from equikpt.doctor.run import (
    STATUS,
    examine,
    format_table,
    format_verdict,
    progress,
    to_json,
    works,
)

ROWS = [
    Issue("torch", "2.14.1", severity="info"),
    Issue("device", "CPU [fast]; no GPU", severity="warning"),
    Issue("mmcv", "missing: No module named 'mmcv'", "./setup.sh", "error"),
]


@pytest.fixture
def fake_numpy(tmp_path, monkeypatch):
    """Call it with the source of a module that stands where numpy should."""

    def write(source: str) -> None:
        (tmp_path / "numpy.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
            "ended Python itself (SIGSEGV)",
        ),
        ("import os\nos._exit(7)", "ended Python itself (exit code 7)"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("raise ImportError('wrong\\nbuild')", "wrong build"),
        ("raise ValueError('dtype size changed')", "ValueError: dtype size changed"),
    ],
    ids=["crash", "exit", "SystemExit", "ImportError", "wrong build"],
)
def test_failing_check_is_a_row_and_the_next_ones_run(fake_numpy, source, found):
    fake_numpy(source)
    issues = {row.code: row for row in examine(("cores", "OpenCV", "disk"))}
    assert list(issues) == ["cores", "OpenCV", "disk"]
    assert issues["OpenCV"] == Issue("OpenCV", found, "./setup.sh", "error")
    assert issues["disk"].severity != "error"


def test_check_that_hangs_is_ended():
    code = (
        "import time\n"
        "from equikpt.doctor import run\n"
        "run.LIMIT_S = 1\n"
        "run.CHECKS['disk'] = (lambda: time.sleep(60), '')\n"
        "run.check('disk')"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=50, check=False)
    assert done.returncode == -signal.SIGALRM


def test_what_packages_print_is_not_taken_for_an_answer(fake_numpy):
    fake_numpy("import os\nos.write(1, b'equikpt-doctor {}\\n')\nraise ImportError('noisy')")
    (row,) = examine(("OpenCV",))
    assert row.message == "noisy"


def test_folder_of_the_user_hides_no_package(tmp_path, monkeypatch):
    (tmp_path / "platform.py").write_text("raise RuntimeError('taken for the real one')")
    monkeypatch.chdir(tmp_path)
    (row,) = examine(("Python",))
    assert row.severity != "error", row.message


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_table_holds_every_word(monkeypatch, rich):
    if not rich:
        forbid(monkeypatch, "rich")
    table = format_table(ROWS, width=120, colour=False)
    for row in ROWS:
        for text in (row.code, STATUS[row.severity], row.message, row.fix):
            assert text in table
    assert ("│" in table) == rich


def test_table_on_a_terminal_is_coloured():
    assert "\x1b[" in format_table(ROWS, width=120, colour=True)
    assert "\x1b[" not in format_table(ROWS, width=120, colour=False)


def test_progress_hands_all_findings_on(monkeypatch):
    assert list(progress(ROWS)) == ROWS
    forbid(monkeypatch, "tqdm")
    assert list(progress(ROWS)) == ROWS


def test_only_failures_speak_against_training():
    assert works(ROWS[:2])
    assert not works(ROWS)
    assert format_verdict(ROWS[:2]) == "Training works here."
    assert format_verdict(ROWS).endswith("Begin with mmcv: ./setup.sh")
    content = json.loads(to_json(ROWS))
    assert content["training_works"] is False
    assert content["checks"][1] == dict(
        name="device", status="warn", found="CPU [fast]; no GPU", fix=""
    )


def test_every_check_has_a_name_that_fits_the_table():
    assert all(len(name) <= 14 for name in CHECKS)


def forbid(monkeypatch, package: str) -> None:
    """As if a package were not installed, for imports from here on."""
    original = builtins.__import__

    def importer(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importer)
