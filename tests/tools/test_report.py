from __future__ import annotations

from tests.report.written_runs import config, write_start


def test_a_run_becomes_a_page(run_tool, tmp_path):
    write_start(tmp_path / "run", [1.0, 0.9, 0.8], cfg=config())
    out = tmp_path / "pages" / "my.html"
    done = run_tool("report.py", "--work-dir", tmp_path / "run", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "has no best checkpoint" in done.stdout
    assert f"written: {out}" in done.stdout
    assert out.read_text().startswith("<!doctype html>")


def test_a_wrong_call_is_a_sentence(run_tool, tmp_path):
    done = run_tool("report.py", "--work-dir", tmp_path / "none")
    assert done.returncode == 2
    assert "expected the work dir of a run" in done.stderr
    assert "Traceback" not in done.stderr
