import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt_runtime.clips import Clip, ClipWriter
from tests.random_models import random_checkpoint, with_training_features

CONFIG = "smoke/td-hm_efficientnet-lite0_horse26-192x192"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return random_checkpoint(CONFIG, tmp_path_factory.mktemp("weights"))


@pytest.fixture
def tool(call_tool, checkpoint):
    """``tool(*arguments)``: with config and checkpoint, on a CPU, all points drawn."""
    fixed = ("--config", CONFIG, "--checkpoint", checkpoint, "--device", "cpu")
    fixed += ("--least-score", 0)  # the former name of --min-score
    return lambda *arguments, code=0: call_tool("visualize", *fixed, *arguments, code=code)


@pytest.fixture
def images(sample_data) -> list[Path]:
    return sorted((sample_data / "images/val").iterdir())[:3]


@pytest.fixture
def clip(images, tmp_path) -> Path:
    """Twelve frames of one image that moves to the right."""
    image = cv2.resize(cv2.imread(str(images[0])), (160, 120))
    with ClipWriter(tmp_path / "clip.avi", 10, (160, 120)) as writer:
        for step in range(12):
            writer.write(np.roll(image, 2 * step, axis=1))
    return writer.path


def test_an_image(tool, images, tmp_path):
    out = tmp_path / "pose.png"
    assert f"written: {out}" in tool("--img", images[0], "--out", out)
    before = cv2.imread(str(images[0]))
    assert cv2.imread(str(out)).shape == before.shape
    assert (cv2.imread(str(out)) != before).any()
    assert "overwrite" in tool("--img", images[0], "--out-file", out, code=2)
    assert "gone.jpg" in tool("--img", "gone.jpg", "--csv", tmp_path / "gone.csv", code=2)


def test_a_folder_with_a_damaged_image(tool, images, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for image in images:
        (folder / image.name).write_bytes(image.read_bytes())
    (folder / "text.jpg").write_text("no image")
    printed = tool("--img-dir", folder, "--out", out, "--csv", out / "points.csv", code=1)
    assert "text.jpg, it is none of JPEG" in printed
    assert f"written: {out}: 3 images" in printed
    drawn = {path.name for path in out.glob("*.jpg")}
    assert drawn == {f"{image.stem}_pose.jpg" for image in images}
    assert len(pd.read_csv(out / "points.csv")) == 3 * 26


def test_several_images_on_one_sheet(tool, images, tmp_path):
    out = tmp_path / "sheet.png"
    tool("--img", f"{images[0].parent}/*", "--out-file", out)
    shapes = [cv2.imread(str(path)).shape for path in images[0].parent.iterdir()]
    widest = max(round(min(1, 420 / max(shape)) * shape[1]) for shape in shapes)
    assert cv2.imread(str(out)).shape[1] == 4 * widest


@pytest.mark.parametrize("gt", ["beside", "over"])
def test_labels_give_boxes_and_gt(tool, sample_data, images, tmp_path, gt):
    labels = sample_data / "annotations/val.json"
    arguments = ("--img", images[0], "--ann-file", labels, "--gt", gt, "--names")
    table = tmp_path / "points.csv"
    tool(*arguments, "--out-file", tmp_path / "pose.png", "--csv", table)
    content = json.loads(labels.read_text())
    image = next(row for row in content["images"] if images[0].name in row["file_name"])
    boxes = [row["bbox"] for row in content["annotations"] if row["image_id"] == image["id"]]
    left_top = pd.read_csv(table)[["left_px", "top_px"]].drop_duplicates().to_numpy()
    np.testing.assert_allclose(left_top, [box[:2] for box in boxes], atol=0.01)
    drawn = cv2.imread(str(tmp_path / "pose.png"))
    assert drawn.shape[1] == image["width"] * (2 if gt == "beside" else 1)


def test_boxes_by_hand_and_heatmaps(tool, images, tmp_path):
    table = tmp_path / "points.csv"
    boxes = ("--box", 0, 0, 50, 60, "--box", 20, 30, 90, 100)
    arguments = ("--img", images[0], *boxes, "--overlay", "heatmap", "--csv", table)
    tool(*arguments, "--out-file", tmp_path / "pose.png")
    rows = pd.read_csv(table)
    assert rows["right_px"].unique().tolist() == [50, 90]
    assert rows["animal"].unique().tolist() == [1, 2]


def test_a_video_with_tracks_and_tables(tool, clip, tmp_path):
    out, dlc, plain = (tmp_path / name for name in ("out.mp4", "tracks.csv", "points.csv"))
    boxes = ("--box", 0, 0, 79, 119, "--box", 80, 0, 159, 119, "--batch-size", 5)
    arguments = ("--video", clip, *boxes, "--smooth", "--dlc", dlc, "--csv", plain)
    assert "12 frames of 160 x 120 px, 10 a second" in tool(*arguments, "--out", out)
    opened = Clip.open(out)
    assert (opened.size_px, opened.fps) == ((160, 120), 10)
    assert len(list(opened.frames())) == 12
    tracks = pd.read_csv(dlc, header=[0, 1, 2, 3], index_col=0)
    assert tracks.shape == (12, 2 * 26 * 3)
    assert tracks.columns.unique("individuals").tolist() == ["animal1", "animal2"]
    assert not tracks.isna().any().any()
    rows = pd.read_csv(plain)
    assert rows["time_s"].unique().tolist() == pytest.approx([step / 10 for step in range(12)])


def test_smoothing_changes_what_is_written(tool, clip, tmp_path):
    tables = []
    for name, more in (("raw", ()), ("smooth", ("--smooth", "--beta", 0))):
        tool("--video", clip, "--dlc", tmp_path / f"{name}.csv", *more)
        tables.append(pd.read_csv(tmp_path / f"{name}.csv", header=[0, 1, 2], index_col=0))
    raw, smooth = (table.xs("x", axis=1, level="coords").to_numpy() for table in tables)
    np.testing.assert_allclose(raw[0], smooth[0], rtol=1e-5)
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.7 * np.abs(np.diff(raw, axis=0)).mean()


def test_what_is_unlike_the_training_is_named(tool, checkpoint, images, clip, tmp_path):
    strict = with_training_features(CONFIG, checkpoint, 0.0, tmp_path)
    out, table = tmp_path / "out", tmp_path / "points.csv"
    arguments = ("--checkpoint", strict, "--img", *images, "--out", out)
    printed = tool(*arguments, "--csv", table)
    for image in images:
        assert f"{image}: unlike the training images (score " in printed
        drawn = cv2.imread(str(out / f"{image.stem}_pose.jpg"))
        assert (drawn != cv2.imread(str(image))).any()  # the note
    assert len(pd.read_csv(table)) == 0
    printed = tool(*arguments, "--csv", table, "--no-refuse", "--overwrite")
    assert "unlike the training images" not in printed
    assert len(pd.read_csv(table)) == 26 * len(images)
    printed = tool("--checkpoint", strict, "--video", clip, "--csv", table, "--overwrite")
    assert f"{clip}: 12 of 12 frames, the first at 0.00 s: unlike the training" in printed
