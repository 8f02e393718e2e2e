from __future__ import annotations

import zipfile

import pytest

from equikpt.cli.commands import init
from equikpt.core.configs import read_config

TOOL = "init"


@pytest.fixture
def zipped(sample_data, tmp_path):
    """The export as a zip, in which a folder holds everything."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sample_data.rglob("*.*"):
            archive.write(file, f"export/{file.relative_to(sample_data)}")
    return path


@pytest.mark.slow
def test_a_zip_becomes_a_project_and_is_kept(call_tool, run_tool, zipped, tmp_path, monkeypatch):
    root = tmp_path / "horse"
    printed = run_tool("init.py", root, "--input", zipped).stdout  # nothing is imported before
    said = " ".join(printed.split())  # lines end where the terminal does
    assert "dialects: coco" in said
    assert "as measured" in said
    assert " ".join(printed.split()).endswith(f"equikpt train {root}")
    assert max(map(len, printed.replace(str(root), "").splitlines())) <= 100
    assert "26, horse" in call_tool("verify_dataset", root)
    cfg = read_config(root / "config.py")
    assert cfg.model.head.out_channels == 26
    monkeypatch.setattr(init, "training_speed_of", lambda config: 50.0)
    assert "kept" in call_tool(TOOL, root)
    assert "--overwrite" in call_tool(TOOL, root, "--minutes", 3, code=2)
    said = call_tool(TOOL, root, "--minutes", 3, "--overwrite")
    assert "at 50 samples" in " ".join(said.split())
    assert read_config(root / "config.py").train_cfg.max_epochs < cfg.train_cfg.max_epochs


def test_a_folder_that_holds_other_things_is_refused(call_tool, zipped, tmp_path):
    (tmp_path / "config.py").write_text("mine = 1")
    assert "config.py" in call_tool(TOOL, tmp_path, "--input", zipped, "--overwrite", code=2)
    assert (tmp_path / "config.py").read_text() == "mine = 1"


def test_further_labels_are_added_and_other_options_refused(call_tool, tmp_path):
    said = call_tool(TOOL, tmp_path, "--add", tmp_path, "--minutes", 3, code=2)
    assert "--add without --minutes" in said
    assert "is no project yet" in call_tool(TOOL, tmp_path, "--add", tmp_path, code=2)


def test_no_export_is_a_sentence(call_tool, tmp_path):
    assert "--input" in call_tool(TOOL, tmp_path / "new", code=2)
    assert not (tmp_path / "new/config.py").exists()
