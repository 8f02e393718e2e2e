"""MMPose's own, unmodified tools run our configs."""

import subprocess
import sys
from pathlib import Path

import mmpose
import pytest

from tests.conftest import REPO

TOOLS = Path(mmpose.__file__).parent / ".mim" / "tools"


@pytest.mark.skipif(not TOOLS.is_dir(), reason="this mmpose was not installed from a wheel")
@pytest.mark.slow
def test_mmpose_trains_and_tests_our_config(sample_data, tmp_path):
    config = REPO / "configs/rtmpose_m_ap10k.py"
    roots = [
        f"{split}_dataloader.dataset.data_root={sample_data}" for split in ("train", "val", "test")
    ]
    options = [
        *("--work-dir", "work", "--cfg-options", *roots),
        *("train_dataloader.batch_size=6", "train_cfg.max_epochs=1", "train_cfg.val_interval=1"),
        *("load_from=None", "default_hooks.remap.random_weights=True"),
        "model.backbone.frozen_stages=-1",
        "default_hooks.checkpoint.interval=1",
    ]
    for command in (["train.py", config], ["test.py", config, "work/epoch_1.pth"]):
        if command[0] == "test.py":  # which needs the test set alone
            options = [
                option.replace(
                    f"train_dataloader.dataset.data_root={sample_data}",
                    "train_dataloader.dataset.data_root=gone",
                )
                for option in options
            ]
        done = subprocess.run(
            [sys.executable, TOOLS / command[0], *command[1:], *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert "coco/AP" in done.stdout
    assert (tmp_path / "work/epoch_1.pth").is_file()
