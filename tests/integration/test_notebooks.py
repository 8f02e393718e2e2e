"""The notebooks, run as a user runs them: one after the other, in one folder."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = [
    REPO / "docs" / "notebooks" / name
    for name in ("train_on_own_data.ipynb", "predict_and_analyse.ipynb")
]


@pytest.mark.slow
def test_the_notebooks_run(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIKPT_CHECKOUT", str(REPO))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    outputs = []
    for path in NOTEBOOKS:
        book = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(book, timeout=900, kernel_name="python3", resources=resources).execute()
        for cell in book.cells:
            outputs += cell.get("outputs", [])
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(shown) >= 5
    assert (tmp_path / "my_project" / "work_dir" / "best.pth").is_file()
    assert (tmp_path / "predictions.jpg").is_file()
    text = "".join(output.get("text", "") for output in outputs)
    assert "PCK@0.05" in text
    assert re.findall(r"^error: .*", text, re.MULTILINE) == []
