"""The doctor as a user calls it, on this environment and on a broken one."""

import json
import os

import mmcv
import mmengine
import pytest
import torch

from equikpt.doctor.checks import CHECKS


@pytest.mark.slow
def test_training_works_here(run_tool):
    done = run_tool("doctor.py", "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    report = json.loads(done.stdout)
    found = {row["name"]: row["found"] for row in report["checks"]}
    assert report["training_works"]
    assert list(found) == list(CHECKS)
    assert found["torch"] == torch.__version__
    assert found["mmengine"].startswith(f"{mmengine.__version__} (")
    assert "unknown" not in found["mmengine"]
    assert found["mmcv"].startswith(f"{mmcv.__version__} (")
    assert "operators" in found["mmcv"]
    assert "mask functions work" in found["xtcocotools"]
    assert "3 steps on" in found["training"]


def test_table_without_torch(run_tool, tmp_path):
    (tmp_path / "torch").mkdir()
    source = "raise ModuleNotFoundError(\"No module named 'torch'\")"
    (tmp_path / "torch" / "__init__.py").write_text(source)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = run_tool("doctor.py", env={"PYTHONPATH": path, "COLUMNS": "200"})
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    for name in CHECKS:  # each check has its row, also those that could not be made
        assert name in done.stdout
    assert "missing: No module named 'torch'" in done.stdout
    assert done.stdout.rstrip().endswith("Begin with torch: ./setup.sh")
