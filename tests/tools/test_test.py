from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.pth"], "expected a checkpoint at gone.pth"),
        (["weights.pth", "--data-root", "nowhere"], "nowhere/annotations/test.json"),
        (["weights.pth", "--out", "weights.pth"], "--overwrite"),
        (["weights.pth", "--draw", "sheet.xyz"], "sheet.xyz"),
    ],
    ids=["checkpoint", "data", "existing output", "image format"],
)
def test_a_mistake_is_one_sentence(call_tool, sample_data, tmp_path, arguments, words):
    (tmp_path / "weights.pth").write_text("not weights")
    if "--data-root" not in arguments:
        arguments = [*arguments, "--data-root", sample_data]
    done = call_tool("test.py", "smoke/rtmpose_m_ap10k", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert words in done.stderr.splitlines()[-1]
    assert (tmp_path / "weights.pth").read_text() == "not weights"


def test_a_file_that_is_no_checkpoint_is_one_sentence(run_tool, sample_data, tmp_path):
    (tmp_path / "weights.pth").write_text("not weights")
    done = run_tool(
        "test.py",
        *("smoke/rtmpose_m_ap10k", tmp_path / "weights.pth", "--data-root", sample_data),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "weights.pth" in done.stderr.splitlines()[-1]
