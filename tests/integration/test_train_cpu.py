"""Train, resume and test as a user would, on the CPU; MMPose's own tools run our configs too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import mmpose
import pandas as pd
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import equikpt.register  # noqa: F401
from equikpt.compat.safe_load import load_from_local
from equikpt.metainfo.correspondence import index_pairs
from tests.conftest import REPO
from tests.integration.conftest import SMALL, logged_rows

CONFIG = "smoke/rtmpose_m_ap10k"


def test_leaves_checkpoints_scalars_and_tensorboard(trained):
    assert (trained / "epoch_2.pth").is_file()
    assert list(trained.glob("best_coco_AP_epoch_*.pth"))
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
    assert not list((tmp_path / "w").glob("best_*"))


# --- resuming ---


def train(run_tool, sample_data, work_dir, *arguments) -> None:
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", work_dir, "--data-root", sample_data),
        *("--epochs", 2, *arguments, "--cfg-options", *SMALL),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "precision",
    [[], pytest.param(["--amp"], marks=pytest.mark.slow)],
    ids=["float32", "amp"],
)
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


# --- from a checkpoint of another keypoint set, through the whole runner ---


@pytest.fixture(scope="module")
def ap10k_checkpoint(tmp_path_factory):
    """A 17-point twin of the small RTMPose, as MMPose would have written it."""
    config = Config.fromfile(REPO / "configs/smoke/rtmpose_m_ap10k.py").model
    config.head.out_channels = 17
    init_default_scope("mmpose")
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("released") / "ap10k.pth"
    torch.save({"state_dict": MODELS.build(config).state_dict(), "meta": {}}, path)
    return path


@pytest.mark.parametrize("rate", [0.0, 1e-3], ids=["rate 0", "rate 1e-3"])
def test_trains_on_from_the_remapped_weights(
    run_tool, sample_data, ap10k_checkpoint, tmp_path, rate
):
    done = run_tool(
        "train.py",
        *("smoke/rtmpose_m_ap10k", "--work-dir", tmp_path, "--data-root", sample_data),
        *("--no-validate", "--cfg-options", f"load_from={ap10k_checkpoint}"),
        *("default_hooks.remap.type=RemapCheckpointHook", "default_hooks.remap.source=ap10k"),
        *("train_cfg.max_epochs=1", f"optim_wrapper.optimizer.lr={rate}", *SMALL),
    )
    assert done.returncode == 0, done.stderr
    theirs = torch.load(ap10k_checkpoint, weights_only=True)["state_dict"]
    ours = torch.load(tmp_path / "epoch_1.pth", weights_only=True)["state_dict"]
    of_ap10k, of_horse26 = map(list, index_pairs("ap10k"))
    name = "head.final_layer.weight"
    copied = torch.equal(ours[name][of_horse26], theirs[name][of_ap10k])
    kept = torch.equal(ours["backbone.stem.0.conv.weight"], theirs["backbone.stem.0.conv.weight"])
    assert copied is kept is (rate == 0)
    log = "\n".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "head.final_layer.weight" in log
    assert "remapped" in log


# --- MMPose's own, unmodified tools ---

TOOLS = Path(mmpose.__file__).parent / ".mim" / "tools"


@pytest.mark.skipif(not TOOLS.is_dir(), reason="this mmpose was not installed from a wheel")
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
