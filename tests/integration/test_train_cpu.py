"""Train and test as a user would, on the CPU."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

import equikpt.register  # noqa: F401
from equikpt.compat.safe_load import load_from_local
from equikpt.structures import recorded_uncertainty
from tests.integration.conftest import SMALL, logged_rows

pytestmark = pytest.mark.slow
CONFIG = "smoke/rtmpose_m_ap10k"


def test_leaves_checkpoints_scalars_and_tensorboard(trained):
    assert (trained / "epoch_2.pth").is_file()
    (best,) = trained.glob("best_coco_AP_epoch_*.pth")
    assert (trained / "best.pth").resolve() == best
    assert (trained / "last.pth").resolve() == trained / "epoch_2.pth"
    assert list(trained.glob("*/vis_data/events.out.tfevents.*"))
    assert {"keypoint/PCK@0.1", "keypoint/error_px"} <= set(logged_rows(trained, "coco/AP")[-1])


def test_training_moves_the_weights_and_their_average(trained):
    states = [load_from_local(trained / f"epoch_{n}.pth") for n in (1, 2)]
    for part in ("state_dict", "ema_state_dict"):
        first, second = (state[part] for state in states)
        floats = [name for name, value in second.items() if value.is_floating_point()]
        assert all(second[name].isfinite().all() for name in floats)
        assert not [name for name in floats if torch.equal(first[name], second[name])]


def test_test_reproduces_the_validation(trained, run_tool, sample_data, tmp_path):
    out, report, sheet = (tmp_path / name for name in ("out.json", "report.csv", "sheet.jpg"))
    arguments = [
        *(CONFIG, trained / "epoch_2.pth", "--split", "val", "--data-root", sample_data),
        *("--work-dir", tmp_path / "test", "--out", out, "--report", report, "--draw", sheet),
    ]
    done = run_tool("test.py", *arguments)
    assert done.returncode == 0, done.stderr
    validation = logged_rows(trained, "coco/AP")[-1]
    lines = (line.split() for line in done.stdout.splitlines())
    printed = dict(words for words in lines if len(words) == 2)
    for name in ("coco/AP", "keypoint/PCK@0.1", "keypoint/error_px"):
        assert float(printed[name]) == pytest.approx(validation[name], abs=1e-3)
    gt = json.loads((sample_data / "annotations/val.json").read_text())
    results = json.loads(out.read_text())
    assert {r["image_id"] for r in results} == {a["image_id"] for a in gt["annotations"]}
    assert all(len(r["keypoints"]) == 78 for r in results)
    for name in ("keypoint_radius", "keypoint_presence", "keypoint_seen"):
        assert all(len(r[name]) == 26 for r in results)
    fit = recorded_uncertainty(load_from_local(trained / "epoch_2.pth"))
    scores = np.ravel([r["keypoints"][2::3] for r in results])
    assert fit.probabilities[0] - 1e-4 <= scores.min() < scores.max() < fit.probabilities[-1] + 1e-4
    assert len(pd.read_csv(report)) == 26
    assert cv2.imread(str(sheet)).std() > 10

    again = run_tool("test.py", *arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr


def test_a_used_work_dir_is_not_overwritten(trained, run_tool, sample_data):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    done = run_tool("train.py", CONFIG, "--work-dir", trained, "--data-root", sample_data)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--resume" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_a_gpu_free_run_without_validation(run_tool, sample_data, tmp_path):
    done = run_tool(
        "train.py",
        *(CONFIG, "--work-dir", tmp_path / "w", "--data-root", sample_data, "--no-validate"),
        *("--auto-scale-lr", "--seed", 3, "--deterministic"),
        *("--cfg-options", "train_cfg.max_epochs=1", *SMALL),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w/epoch_1.pth").is_file()
    assert not list((tmp_path / "w").glob("best*"))
    assert (tmp_path / "w/last.pth").resolve().name == "epoch_1.pth"
