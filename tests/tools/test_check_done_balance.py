from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

COUNTS = dict(train=(20, 30, 40), val=(22,))


@pytest.fixture
def things(tmp_path):
    """A folder in FSC-147's layout: empty images with points."""
    records, splits = {}, {}
    (tmp_path / "images_384_VarV2").mkdir()
    for split, counts in COUNTS.items():
        splits[split] = [f"{split}_{count}.png" for count in counts]
        for name, count in zip(splits[split], counts, strict=True):
            image = np.zeros((40, 60, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "images_384_VarV2" / name), image)
            points = np.random.default_rng(count).uniform(0, 39, (count, 2))
            records[name] = dict(points=points.tolist())
    (tmp_path / "annotation_FSC147_384.json").write_text(json.dumps(records))
    (tmp_path / "Train_Test_Val_FSC_147.json").write_text(json.dumps(splits))
    return tmp_path


@pytest.mark.slow
def test_figures_and_exit_codes(run_tool, things):
    out = things / "balance.json"
    arguments = (
        "sequential_efficientnet-lite0_fsc147-384x384",
        "--data-root",
        things,
        "--json",
        out,
    )
    even = ("--cfg-options", "model.head.done_balance=balanced")
    done = run_tool("check_done_balance.py", *arguments, *even)
    assert done.returncode == 0, done.stderr
    assert "train: 3 images, 30.0 points each (min 20, median 30, max 40)" in done.stdout
    assert "nothing to change" in done.stdout
    content = json.loads(out.read_text())
    assert content["balance"] == "balanced"
    assert {split: tuple(each["counts"]) for split, each in content["splits"].items()} == COUNTS
    assert content["splits"]["train"]["share_of_steps"] == pytest.approx(3 / 93)
    assert content["findings"] == []

    again = run_tool("check_done_balance.py", *arguments)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr

    wrong = run_tool(
        *("check_done_balance.py", *arguments, "--overwrite"),
        *("--cfg-options", "model.head.done_balance=steps"),
    )
    assert wrong.returncode == 1, wrong.stderr
    assert "set model.head.done_balance=balanced" in wrong.stdout
    assert len(json.loads(out.read_text())["findings"]) == 2


def test_keypoints_in_their_order(run_tool, sample_data):
    done = run_tool(
        "check_done_balance.py",
        "experimental/sequential_efficientnet-lite0_horse26-256x256",
        "--data-root",
        sample_data,
    )
    assert done.returncode == 0, done.stderr
    assert "max 26" in done.stdout


def test_another_head_is_one_sentence(run_tool):
    done = run_tool("check_done_balance.py", "rtmpose_m_ap10k")
    assert done.returncode == 2
    assert "whose head points in sequences" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_real_cells(run_tool, real_data):
    done = run_tool(
        "check_done_balance.py",
        "sequential_efficientnet-lite0_fsc147-384x384",
        "--data-root",
        real_data / "blood_cells",
    )
    assert done.returncode == 0, done.stderr
    assert "train: 205 images" in done.stdout
    assert "val: 87 images" in done.stdout
