"""The doctor as a user calls it, on this environment and on broken ones."""

from __future__ import annotations

import json
import os

import pytest

from equikpt.doctor.checks import CHECKS


@pytest.fixture(scope="module")
def report(run_tool):
    """What it says of the environment that the tests run in."""
    return run_tool("doctor.py", "--json")


def rows(done) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(done.stdout)["checks"]}


def broken_by(folder, package: str, source: str) -> dict[str, str]:
    """The environment with a package in front that does not load."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(source)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path}


def test_training_works_here(report):
    assert report.returncode == 0, report.stdout
    assert json.loads(report.stdout)["training_works"]
    assert list(rows(report)) == list(CHECKS)
    assert report.stderr == ""


def test_rows_say_what_is_installed(report):
    import mmcv
    import mmengine
    import torch

    found = {name: row["found"] for name, row in rows(report).items()}
    assert found["torch"] == torch.__version__
    assert found["mmengine"].startswith(f"{mmengine.__version__} (")
    assert "unknown" not in found["mmengine"]
    assert found["mmcv"].startswith(f"{mmcv.__version__} (")
    assert "operators" in found["mmcv"]
    assert "mask functions work" in found["xtcocotools"]
    assert "3 steps on" in found["training"]


def test_table_without_torch(run_tool, tmp_path):
    env = broken_by(tmp_path, "torch", "raise ModuleNotFoundError(\"No module named 'torch'\")")
    done = run_tool("doctor.py", env={**env, "COLUMNS": "200"})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    for name in CHECKS:  # each check has its row, also those that could not look
        assert name in done.stdout
    assert "missing: No module named 'torch'" in done.stdout
    assert done.stdout.rstrip().endswith("Begin with torch: ./setup.sh")


def test_unknown_option(run_tool):
    done = run_tool("doctor.py", "--jason")
    assert done.returncode == 2
    assert "--jason" in done.stderr
