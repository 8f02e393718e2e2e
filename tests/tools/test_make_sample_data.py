"""The tool as a person runs it."""

from __future__ import annotations

import pytest

TOOL = "make_sample_data.py"


def test_writes_once_and_then_says_so(run_tool, tmp_path):
    arguments = ("--out", tmp_path / "set", "--train", 2, "--val", 1, "--seed", 3, "--jobs", 1)
    first = run_tool(TOOL, *arguments)
    assert first.returncode == 0, first.stderr
    assert "3 images written" in first.stdout
    assert len(list((tmp_path / "set" / "images").rglob("*.jpg"))) == 3
    again = run_tool(TOOL, *arguments)
    assert again.returncode == 0
    assert "is complete, nothing to do" in again.stdout

    other = run_tool(TOOL, *arguments, "--test", 1)
    assert other.returncode == 2
    assert other.stderr.startswith("error: ")
    assert "--overwrite" in other.stderr
    assert "Traceback" not in other.stderr
    assert not (tmp_path / "set" / "images" / "test").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--train", 0, "--val", 0), "at least one image"), (("--train", -3, "--val", 1), "-3")],
    ids=["none", "negative"],
)
def test_bad_input_is_one_line(run_tool, tmp_path, arguments, message):
    done = run_tool(TOOL, "--out", tmp_path / "set", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_is_quick_and_loads_no_torch(run_tool):
    done = run_tool(TOOL, "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert "--overwrite" in done.stdout
    assert "torch" not in done.stderr
    assert "numpy" not in done.stderr


def test_off_a_terminal_it_reports_in_lines(capsys, monkeypatch, tmp_path):
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parents[2] / "tools" / TOOL
    spec = importlib.util.spec_from_file_location("make_sample_data", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "LINE_EVERY_S", 0.0)
    arguments = ["--out", str(tmp_path / "set"), "--train", "2", "--val", "0", "--jobs", "1"]
    assert tool.main(arguments) == 0
    assert "sample data: 2 of 2 images" in capsys.readouterr().out
