"""A small trained run that several tests look at."""

import json
from pathlib import Path

import pytest

SMALL = (
    "train_dataloader.batch_size=4",
    "train_cfg.val_interval=1",
    "default_hooks.checkpoint.interval=1",
)
"""Options that make an epoch of the 12 sample images three iterations."""
LONG_FILES = {"integration", "test_configs.py"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with long files where workers share the work: the last of them would work alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not LONG_FILES & {*item.path.parts})


def logged_rows(work_dir: Path, name: str = "") -> list[dict]:
    """The rows of a run's only ``scalars.json``, those that hold ``name``."""
    (scalars,) = work_dir.glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    return [row for row in rows if not name or name in row]


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
