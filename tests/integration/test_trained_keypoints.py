"""A model whose training had labels of 12 of 26 keypoints gives those, wherever it is used."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt.apis import Predictor
from equikpt.cli.commands.convert_dataset import main as convert
from equikpt.cli.commands.test import main as evaluate
from equikpt.cli.commands.train import main as train
from equikpt.cli.commands.visualize import main as visualize
from equikpt.compat.safe_load import load_from_local

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"
LABELLED = [*range(10), 16, 17]
"""Both sides of each pair or none: a mirrored label is one of the other side."""
QUICK = [
    *("train_dataloader.num_workers=0", "val_dataloader.num_workers=0"),
    *("train_cfg.val_interval=1", "default_hooks.checkpoint.interval=1"),
]


@pytest.fixture(scope="module")
def data(sample_data, tmp_path_factory):
    """Sample horses whose training set lacks 14 keypoints; the other sets have all."""
    folder = shutil.copytree(sample_data, tmp_path_factory.mktemp("partly") / "data")
    path = folder / "annotations/train.json"
    content = json.loads(path.read_text())
    for row in content["annotations"]:
        points = np.reshape(row["keypoints"], (26, 3))
        points[np.setdiff1d(range(26), LABELLED)] = 0
        row["keypoints"] = points.ravel().tolist()
    path.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Work dir of one epoch."""
    work = tmp_path_factory.mktemp("run") / "work"
    options = [CONFIG, "--data-root", data, "--work-dir", work, "--no-verify", "--cfg-options"]
    assert train([*map(str, options), "train_cfg.max_epochs=1", *QUICK]) == 0
    return work


def test_it_gives_them_nowhere(run, data, tmp_path, capsys):
    checkpoint = run / "epoch_1.pth"
    expected = [index in LABELLED for index in range(26)]
    meta = load_from_local(checkpoint)["meta"]["dataset_meta"]
    assert meta["trained_keypoints"] == expected
    (line,) = {
        line.partition(" - ")[2]
        for log in run.rglob("*.log")
        for line in log.read_text().splitlines()
        if "have no label in training" in line
    }
    assert "14 of 26 keypoints have no label in training: l_elbow, r_elbow, " in line

    predictor = Predictor(CONFIG, checkpoint, device="cpu")
    image = next((data / "images/val").iterdir())
    (found,) = predictor(image)
    assert predictor.trained.tolist() == expected
    assert np.isfinite(found.keypoints).all(axis=1).tolist() == expected
    assert (found.scores > 0).tolist() == expected

    out, table, sheet = (tmp_path / name for name in ("out.json", "table.csv", "sheet.png"))
    arguments = [CONFIG, checkpoint, "--data-root", data, "--split", "val"]
    arguments += ["--work-dir", tmp_path / "test", "--out", out, "--report", table, "--draw", sheet]
    quick = ["--cfg-options", "test_dataloader.num_workers=0"]
    assert evaluate([*map(str, arguments), *quick]) == 0
    for row in json.loads(out.read_text()):
        points = np.reshape(row["keypoints"], (26, 3))
        assert points.any(axis=1).tolist() == expected
    rows = pd.read_csv(table)
    assert rows["trained"].tolist() == expected
    assert rows["PCK@0.1"].notna().tolist() == expected
    assert (rows["labelled"] > 0).all()
    said = capsys.readouterr().out
    assert "l_elbow (not trained)" in said
    assert "count as missed in COCO's AP" in said
    assert cv2.imread(str(sheet)) is not None

    plain, tracks, drawn = (tmp_path / name for name in ("p.csv", "dlc.csv", "pose.png"))
    arguments = ["--config", CONFIG, "--checkpoint", checkpoint, "--img", image, "--min-score", 0]
    arguments += ["--csv", plain, "--dlc", tracks, "--out", drawn, "--device", "cpu"]
    assert visualize([*map(str, arguments)]) == 0
    names = [predictor.names[index] for index in LABELLED]
    assert pd.read_csv(plain)["keypoint"].tolist() == names
    points = pd.read_csv(tracks, header=[0, 1, 2], index_col=0).iloc[0].to_numpy().reshape(26, 3)
    assert np.isfinite(points).any(axis=1).tolist() == expected

    labels = tmp_path / "labels"
    arguments = ["--from", "coco", "--input", data / "annotations/val.json", "--predictions", out]
    arguments += ["--output", labels, "--to", "coco", "--img-dir", data / "images/val"]
    assert convert([*map(str, arguments), "--score", "0"]) == 0
    (path,) = labels.rglob("*.json")
    for row in json.loads(path.read_text())["annotations"]:
        labelled = np.reshape(row["keypoints"], (26, 3))[:, 2] > 0
        assert labelled[LABELLED].any()  # but for those that were found outside of the image
        assert not labelled[~np.array(expected)].any()
