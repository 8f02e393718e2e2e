"""The data that a test run needs; whole runs with their scores are in integration/."""

from __future__ import annotations

import shutil

from equikpt.cli.commands.test import main
from equikpt.compat.safe_load import load_from_local
from equikpt.structures import recorded_uncertainty
from equikpt.structures.training_features import recorded_training_features
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


def test_fit_writes_into_the_checkpoint_that_a_link_leads_to(sample_data, tmp_path, capsys):
    checkpoint, link = random_checkpoint(CONFIG, tmp_path), tmp_path / "best.pth"
    link.symlink_to(checkpoint)
    arguments = [CONFIG, str(link), "--data-root", str(sample_data), "--split", "val", "--fit"]
    options = ["--cfg-options", "test_dataloader.num_workers=0"]
    before = load_from_local(checkpoint)
    assert main([*arguments, "--work-dir", str(tmp_path / "work"), *options]) == 0
    said = capsys.readouterr().out
    assert "radii and scores, fitted to" in said
    assert "features of the training images" in said
    assert link.is_symlink()
    after = load_from_local(checkpoint)
    assert recorded_uncertainty(before) is recorded_training_features(before) is None
    assert recorded_uncertainty(after).levels[-1] == 0.99
    assert recorded_training_features(after).limit > 0
    assert after["state_dict"].keys() == before["state_dict"].keys()
