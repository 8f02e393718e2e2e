"""Checks cannot end each other, and the table shows what they found."""

from __future__ import annotations

import builtins
import json
import signal
import subprocess
import sys

import pytest

from equikpt.doctor.checks import CHECKS, FAIL, OK, WARN
from equikpt.doctor.run import (
    Finding,
    examine,
    format_table,
    format_verdict,
    progress,
    to_json,
    works,
)

ROWS = [
    Finding("torch", OK, "2.14.1"),
    Finding("device", WARN, "CPU [fast]; no GPU"),
    Finding("mmcv", FAIL, "missing: No module named 'mmcv'", "./setup.sh"),
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
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
    ],
    ids=["crash", "exit", "SystemExit", "ImportError", "bug"],
)
def test_failing_check_is_a_row_and_the_next_ones_run(fake_numpy, source, found):
    fake_numpy(source)
    findings = {row.name: row for row in examine(("cores", "OpenCV", "disk"))}
    assert list(findings) == ["cores", "OpenCV", "disk"]
    assert (findings["OpenCV"].status, findings["OpenCV"].fix) == (FAIL, "./setup.sh")
    assert findings["OpenCV"].found == found
    assert findings["disk"].status != FAIL


def test_check_that_hangs_is_ended():
    code = (
        "import time\n"
        "from equikpt.doctor import run\n"
        "run.LIMIT_S = 1\n"
        "run.CHECKS['disk'] = (lambda: time.sleep(60), '')\n"
        "run._check('disk')"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=50, check=False)
    assert done.returncode == -signal.SIGALRM


def test_what_packages_print_is_not_taken_for_an_answer(fake_numpy):
    fake_numpy("import os\nos.write(1, b'equikpt-doctor {}\\n')\nraise ImportError('noisy')")
    (row,) = examine(("OpenCV",))
    assert row.found == "noisy"


def test_folder_of_the_user_hides_no_package(tmp_path, monkeypatch):
    (tmp_path / "platform.py").write_text("raise RuntimeError('taken for the real one')")
    monkeypatch.chdir(tmp_path)
    (row,) = examine(("Python",))
    assert row.status != FAIL, row.found


def test_package_of_a_wrong_build_and_the_command_that_fixes_it(tmp_path, monkeypatch):
    (tmp_path / "xtcocotools.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    broken, numpy = examine(("xtcocotools", "numpy"))
    assert (broken.status, broken.fix) == (FAIL, "./setup.sh")
    assert broken.found == "ValueError: numpy.dtype size changed"
    assert numpy.status == OK


def test_only_failures_speak_against_training():
    assert works(ROWS[:2])
    assert not works(ROWS)


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_table_holds_every_word(monkeypatch, rich):
    if not rich:
        forbid(monkeypatch, "rich")
    table = format_table(ROWS, width=120, colour=False)
    for row in ROWS:
        for text in (row.name, row.status, row.found, row.fix):
            assert text in table
    assert ("│" in table) == rich


def test_table_on_a_terminal_is_coloured():
    assert "\x1b[" in format_table(ROWS, width=120, colour=True)
    assert "\x1b[" not in format_table(ROWS, width=120, colour=False)


def test_progress_hands_all_findings_on(monkeypatch):
    assert list(progress(ROWS)) == ROWS
    forbid(monkeypatch, "tqdm")
    assert list(progress(ROWS)) == ROWS


def test_verdict_names_the_first_failure():
    assert format_verdict(ROWS[:2]) == "Training works here."
    assert format_verdict(ROWS).endswith("Begin with mmcv: ./setup.sh")


def test_json_holds_the_rows():
    content = json.loads(to_json(ROWS))
    assert content["training_works"] is False
    assert [Finding(**row) for row in content["checks"]] == ROWS


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
