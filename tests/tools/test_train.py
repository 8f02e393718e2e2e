from __future__ import annotations

import pytest


@pytest.mark.parametrize("tool", ["train.py", "test.py"])
def test_help_is_light(run_tool, tool):
    """--help imports neither torch nor MMEngine: they would answer only after seconds."""
    done = run_tool(tool, "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert "--cfg-options" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "argparse" in imported
    assert not {"torch", "mmengine", "mmpose"} & imported


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rtmpose_m_ap10"], "rtmpose_m_ap10k"),
        (["rtmpose_m_ap10k", "--data-root", "nowhere"], "nowhere/annotations/train.json"),
        (["rtmpose_m_ap10k", "--cfg-options", "batchsize=8"], "got 'batchsize'"),
        (["rtmpose_m_ap10k", "--resume", "gone.pth"], "gone.pth"),
        (["rtmpose_m_ap10k", "--launcher", "pytorch"], "torchrun"),
    ],
    ids=["config", "data", "option", "checkpoint", "launcher"],
)
def test_a_mistake_is_one_sentence(call_tool, sample_data, tmp_path, arguments, words):
    if "--data-root" not in arguments:
        arguments = [*arguments, "--data-root", sample_data]
    done = call_tool("train.py", *arguments, cwd=tmp_path, env={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.pth"))


def test_a_bug_keeps_its_traceback(run_tool, sample_data, tmp_path):
    """A size that does not fit, deep inside MMPose, is not dressed up as the user's mistake."""
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", tmp_path, "--data-root", sample_data),
        *("--cfg-options", "model.head.in_channels=7"),
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
