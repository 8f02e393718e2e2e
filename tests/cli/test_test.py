"""What a test run needs; whole runs with their scores are in integration/."""

from __future__ import annotations

import shutil

import pytest

from equikpt.cli.test import EvaluateOptions, build_config, evaluate
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["load_from=other.pth"], "the checkpoint after the config"),
        (["test_dataloader=None", "test_cfg=None", "test_evaluator=None"], "test_dataloader"),
    ],
    ids=["two checkpoints", "no test"],
)
def test_options_that_a_test_cannot_follow(sample_data, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(ValueError, match=words):
        build_config(
            EvaluateOptions(CONFIG, "weights.pth", data_root=str(sample_data), cfg_options=options)
        )


def test_without_a_test_split_the_message_names_another(sample_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(FileNotFoundError, match="--split val"):
        build_config(EvaluateOptions(CONFIG, "weights.pth", data_root=str(tmp_path)))
