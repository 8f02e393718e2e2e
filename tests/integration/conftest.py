"""A small trained run that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

SMALL = (
    "train_dataloader.batch_size=4",
    "train_cfg.val_interval=1",
    "default_hooks.checkpoint.interval=1",
)
"""Options that make an epoch of the 12 sample images three iterations."""


@pytest.fixture(scope="session")
def trained(run_tool, sample_data, tmp_path_factory) -> Path:
    """Work dir of two epochs of the RTMPose twin with --amp."""
    work_dir = tmp_path_factory.mktemp("run") / "work"
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", work_dir, "--data-root", sample_data, "--amp"),
        *("--cfg-options", "train_cfg.max_epochs=2", *SMALL),
    )
    assert done.returncode == 0, done.stderr
    return work_dir
