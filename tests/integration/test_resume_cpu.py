"""A training that is resumed as a user would, on the CPU."""

import shutil

import pytest
import torch

from equikpt.compat.safe_load import load_from_local
from tests.integration.conftest import SMALL


def train(run_tool, sample_data, work_dir, *arguments) -> None:
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", work_dir, "--data-root", sample_data),
        *("--epochs", 2, *arguments, "--cfg-options", *SMALL),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("precision", [[], ["--amp"]], ids=["float32", "amp"])
def test_resumed_run_is_the_uninterrupted_run(run_tool, sample_data, tmp_path, precision):
    """With all augmentation, two loader workers, EMA and the schedule in the middle of warm-up."""
    whole_dir, halves_dir = tmp_path / "whole", tmp_path / "halves"
    train(run_tool, sample_data, whole_dir, *precision)
    halves_dir.mkdir()
    shutil.copy(whole_dir / "epoch_1.pth", halves_dir)
    train(run_tool, sample_data, halves_dir, "--resume", *precision)
    first, whole = (load_from_local(whole_dir / f"epoch_{epoch}.pth") for epoch in (1, 2))
    second = load_from_local(halves_dir / "epoch_2.pth")
    for part in ("state_dict", "ema_state_dict"):
        for name, expected in whole[part].items():
            torch.testing.assert_close(second[part][name], expected, rtol=0, atol=1e-6, msg=name)
    weight = "backbone.stem.0.conv.weight"
    assert (first["state_dict"][weight] - whole["state_dict"][weight]).abs().max() > 1e-5
    assert second["meta"]["iter"] == whole["meta"]["iter"] == 2 * first["meta"]["iter"]
