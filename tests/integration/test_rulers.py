"""Ruler marks from training to the scale of a radiograph, as a user would."""

import json
import shutil

import cv2
import pandas as pd
import pytest
import torch

from equikpt.apis.ruler_look import record_limits, recorded_limits
from equikpt.compat.safe_load import load_from_local
from tests.integration.conftest import logged_rows

pytestmark = pytest.mark.slow
CONFIG = "smoke/td-hm_efficientnet-lite0_p1p2-512x512"


@pytest.fixture(scope="module")
def trained(run_tool, sample_radiographs, tmp_path_factory):
    """The work dir of two epochs, with what the training printed."""
    folder = tmp_path_factory.mktemp("ruler")
    done = run_tool(
        "train.py",
        *(CONFIG, "--work-dir", folder, "--data-root", sample_radiographs),
        *("--cfg-options", "train_cfg.max_epochs=2", "train_cfg.val_interval=1"),
        *("train_dataloader.batch_size=4", "val_dataloader.batch_size=3"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_each_epoch_logs_the_loss_and_the_error_of_validation(trained):
    rows = logged_rows(trained, "landmark/error_px")
    assert len(rows) == 2
    assert all(row["val_loss"] > 0 and row["landmark/scale_error"] >= 0 for row in rows)
    assert rows[1]["val_loss"] < rows[0]["val_loss"]
    assert list(trained.glob("best_landmark_error_px_epoch_*.pth"))


def test_the_test_prints_a_summary_and_writes_every_radiograph_and_the_worst(
    trained, run_tool, sample_radiographs, tmp_path
):
    done = run_tool(
        "test.py",
        *(CONFIG, trained / "epoch_2.pth", "--data-root", sample_radiographs),
        *("--work-dir", tmp_path, "--draw", tmp_path / "worst.png", "--draw-count", 4),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Samples: 6\nAverage: " in done.stdout
    (csv,) = tmp_path.glob("*/films.csv")
    table = pd.read_csv(csv)
    assert sorted(table["radiograph"]) == [f"val_{number}.png" for number in range(6)]
    average = table[["p1_error_px", "p2_error_px"]].to_numpy().mean()
    assert f"Average: {average:.2f} px of the radiograph" in done.stdout
    assert cv2.imread(str(tmp_path / "worst.png")).shape[1] == 4 * 420


def test_calibrate_gives_each_radiograph_a_scale_or_a_reason(
    trained, run_tool, sample_radiographs, tmp_path
):
    radiograph = tmp_path / "radiograph.png"
    shutil.copy(sample_radiographs / "images" / "val_0.png", radiograph)
    (tmp_path / "notes.png").write_text("no radiograph")
    content = load_from_local(str(trained / "epoch_2.pth"))
    record_limits(content, None)  # it believes any look
    torch.save(content, tmp_path / "bare.pth")
    arguments = (
        *(radiograph, tmp_path / "notes.png", "--config", CONFIG, "--out", tmp_path / "out"),
        *("--checkpoint", tmp_path / "bare.pth", "--score", 0),
        *("--distance", 0, 200, "--angle", -180, 180),
    )
    done = run_tool("calibrate.py", *arguments)
    assert "Traceback" not in done.stderr
    assert "not checked if rulers look like labelled ones" in done.stdout
    assert done.returncode == 1
    found, unreadable = json.loads((tmp_path / "out" / "scales.json").read_text())
    assert found["mm_per_px"] == pytest.approx(10 / found["distance_px"])
    assert 0 <= found["p1_x"] <= 200
    assert "notes.png" in unreadable["refused"]
    again = run_tool("calibrate.py", *arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    elsewhere = (*arguments, "--overwrite", "--distance", 190, 200)
    refused, _ = scales_of(run_tool("calibrate.py", *elsewhere), tmp_path / "out")
    assert refused["mm_per_px"] is None
    done = run_tool("calibrate.py", *elsewhere, "--no-refuse")
    doubtful, _ = scales_of(done, tmp_path / "out")
    assert "in doubt, given by --no-refuse: 1 of 2" in done.stdout
    assert doubtful["mm_per_px"] == found["mm_per_px"]
    assert doubtful["doubt"] == refused["refused"] != ""


def test_the_training_leaves_the_limits_of_its_rulers_in_every_checkpoint(trained):
    limits = [recorded_limits(load_from_local(str(path))) for path in trained.glob("*.pth")]
    assert len(limits) >= 2
    assert all(each.look is not None for each in limits)


def scales_of(done, out):
    assert "Traceback" not in done.stderr
    return json.loads((out / "scales.json").read_text())


def test_a_refine_stage_crops_where_the_coarse_one_pointed(
    trained, run_tool, sample_radiographs, tmp_path
):
    refine = "smoke/td-hm_hrnet-w18_p1p2-refine-192x192"
    radiographs = tmp_path / "radiographs.csv"
    on_radiographs = ("--data-root", sample_radiographs)
    done = run_tool(
        "test.py",
        *(CONFIG, trained / "epoch_2.pth", *on_radiographs, "--work-dir", tmp_path / "first"),
        *("--report", radiographs),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    options = ("train_cfg.max_epochs=1", "train_cfg.val_interval=1", "log_level=WARNING")
    done = run_tool(
        "train.py",
        *(refine, "--work-dir", tmp_path / "refine", *on_radiographs, "--cfg-options", *options),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint = tmp_path / "refine" / "epoch_1.pth"
    done = run_tool(
        "test.py",
        *(refine, checkpoint, *on_radiographs, "--work-dir", tmp_path / "both"),
        *("--report", tmp_path / "both.csv"),
        *("--cfg-options", f"test_dataloader.dataset.marks_file={radiographs}"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, both = pd.read_csv(radiographs), pd.read_csv(tmp_path / "both.csv")
    assert both["radiograph"].tolist() == first["radiograph"].tolist()
    columns = [f"{mark}_{axis}" for mark in ("p1", "p2") for axis in "xy"]
    moved = (both[columns] - first[columns]).abs().to_numpy()
    assert 0 < moved.max() <= 0.128 * 250 / 2 + 1
    done = run_tool(
        "calibrate.py",
        *(sample_radiographs / "images" / "val_0.png", "--config", CONFIG),
        *("--out", tmp_path / "scales"),
        *("--checkpoint", trained / "epoch_2.pth", "--score", 0),
        *("--refine", checkpoint, "--refine-config", refine),
    )
    assert "Traceback" not in done.stderr
    (scale,) = json.loads((tmp_path / "scales" / "scales.json").read_text())
    row = both[both["radiograph"] == "val_0.png"].iloc[0]
    assert [scale[name] for name in columns] == pytest.approx(row[columns].tolist(), abs=0.05)
