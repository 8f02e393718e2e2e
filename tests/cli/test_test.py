"""What a test run needs; whole runs with their scores are in integration/."""

from __future__ import annotations

import shutil

from equikpt.cli.commands.test import EvaluateOptions
from equikpt.cli.test import evaluate
from tests.random_models import random_checkpoint

CONFIG = "smoke/rtmpose_m_ap10k"


def test_a_test_set_alone_is_enough(sample_data, tmp_path):
    """Neither the training nor the validation set is looked for, read or checked."""
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    shutil.copy(sample_data / "annotations" / "test.json", data / "annotations")
    shutil.copytree(sample_data / "images" / "test", data / "images" / "test")
    checkpoint = random_checkpoint(CONFIG, tmp_path)
    result = evaluate(
        EvaluateOptions(
            config=CONFIG,
            checkpoint=str(checkpoint),
            work_dir=str(tmp_path / "work"),
            data_root=str(data),
            cfg_options=["test_dataloader.num_workers=0"],
        )
    )
    assert "coco/AP" in result.metrics
