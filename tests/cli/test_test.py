"""The data that a test run needs; whole runs with their scores are in integration/."""

from __future__ import annotations

import shutil

from equikpt.cli.commands.test import main
from tests.random_models import random_checkpoint

CONFIG = "smoke/rtmpose_m_ap10k"


def test_a_test_set_alone_is_enough(sample_data, tmp_path, capsys):
    """Neither the training nor the validation set is looked for, read or checked."""
    data = tmp_path / "data"
    (data / "annotations").mkdir(parents=True)
    shutil.copy(sample_data / "annotations" / "test.json", data / "annotations")
    shutil.copytree(sample_data / "images" / "test", data / "images" / "test")
    arguments = [CONFIG, str(random_checkpoint(CONFIG, tmp_path)), "--data-root", str(data)]
    arguments += ["--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "out.json")]
    assert main([*arguments, "--cfg-options", "test_dataloader.num_workers=0"]) == 0
    assert "coco/AP  " in capsys.readouterr().out
    assert (tmp_path / "out.json").read_text().startswith("[")
