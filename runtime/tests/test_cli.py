import csv
import json
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from equikpt_runtime import cli
from equikpt_runtime.cli import main
from runtime.tests.tiny_models import description, write_model

BOX = (5, 6, 45, 56)
COLUMNS = "".join(f",{side}" for side in BOX)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model, two images and a video of ten frames."""
    write_model(tmp_path / "m.onnx", description())
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), np.full((60, 80, 3), 200, np.uint8))
    writer = cv2.VideoWriter(
        str(tmp_path / "trot.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 60)
    )
    for number in range(10):
        writer.write(np.full((60, 80, 3), 20 * number, np.uint8))
    writer.release()
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    words = [str(folder / "m.onnx"), *arguments, "--out", str(folder / "out"), "--threads", "1"]
    return main(words)


def rows(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_images_are_drawn_and_tables_written(folder, capsys):
    assert run(folder, str(folder / "in"), "--csv", "--dlc", "--coco") == 0
    out = folder / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        *("a_pose.jpg", "b_pose.jpg"),
        *("predictions.csv", "predictions_coco.json", "predictions_dlc.csv"),
    ]
    found = rows(out / "predictions.csv")
    assert len(found) == 6
    assert found[0]["keypoint"] == "nose"
    coco = json.loads((out / "predictions_coco.json").read_text())
    assert [row["width"] for row in coco["images"]] == [80, 80]
    assert coco["categories"][0]["skeleton"] == [[1, 2], [2, 3]]
    assert len(coco["annotations"]) == 2
    assert coco["annotations"][1]["image_id"] == 2
    x, y, visible = coco["annotations"][0]["keypoints"][:3]
    assert (x, y) == pytest.approx((float(found[0]["x_px"]), float(found[0]["y_px"])), abs=0.01)
    assert visible == 2
    assert "2 images" in capsys.readouterr().out


def test_a_video_is_tracked_smoothed_and_drawn(folder):
    assert run(folder, str(folder / "trot.avi"), "--csv", "--coco", "--smooth") == 0
    assert {row["image"] for row in rows(folder / "out" / "trot.csv")} == {*map(str, range(10))}
    assert {row["animal"] for row in rows(folder / "out" / "trot.csv")} == {"1"}
    drawn = cv2.VideoCapture(str(folder / "out" / "trot_pose.avi"))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 10
    coco = json.loads((folder / "out" / "trot_coco.json").read_text())
    assert {row["track_id"] for row in coco["annotations"]} == {1}


def test_what_exists_is_kept(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "a_pose.jpg").write_text("mine")
    assert run(folder, str(folder / "in")) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (folder / "out" / "a_pose.jpg").read_text() == "mine"
    assert [path.name for path in (folder / "out").iterdir()] == ["a_pose.jpg"]
    assert run(folder, str(folder / "in"), "--overwrite") == 0
    assert (folder / "out" / "a_pose.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_an_image_that_is_damaged_is_named_and_the_others_are_done(folder, capsys):
    (folder / "in" / "a.png").write_bytes(b"\x89PNG no more")
    assert run(folder, str(folder / "in"), "--csv") == 1
    out = capsys.readouterr().out
    assert "1 of 2 images could not be read" in out
    assert "a.png" in out
    assert len(rows(folder / "out" / "predictions.csv")) == 3
    (folder / "in" / "b.png").write_bytes(b"")
    assert run(folder, str(folder / "in"), "--overwrite") == 2
    assert "none of 2 images can be read" in capsys.readouterr().err


def test_an_image_that_is_too_large_is_named_and_the_others_are_done(folder, capsys):
    image = Image.new("L", (8, 8))
    image.save(folder / "in" / "a.png")
    content = (folder / "in" / "a.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 40000, 40000) + content[24:29]
    chunk = header + struct.pack(">I", zlib.crc32(header))
    (folder / "in" / "a.png").write_bytes(content[:12] + chunk + content[33:])
    assert run(folder, str(folder / "in"), "--csv") == 1
    assert "it is larger than OpenCV reads" in capsys.readouterr().out
    assert len(rows(folder / "out" / "predictions.csv")) == 3


def test_boxes_beside_an_image_are_named_and_the_others_are_done(folder, capsys):
    path = folder / "boxes.csv"
    lines = [f"a.png{COLUMNS}", "b.png,500,6,545,56"]
    path.write_text("\n".join(["image,left_px,top_px,right_px,bottom_px", *lines]))
    assert run(folder, str(folder / "in"), "--boxes", str(path), "--csv", "--no-draw") == 1
    out = capsys.readouterr().out
    assert "b.png" in out
    assert "within the image's 80 x 60 px" in out
    assert len(rows(folder / "out" / "predictions.csv")) == 3


def test_an_image_without_a_box_is_told(folder, capsys):
    path = folder / "boxes.json"
    images = [dict(id=7, file_name="a.png"), dict(id=8, file_name="b.png")]
    row = dict(id=1, image_id=7, bbox=[5, 6, 40, 50])
    path.write_text(json.dumps(dict(images=images, annotations=[row])))
    assert run(folder, str(folder / "in"), "--boxes", str(path), "--csv") == 0
    out = capsys.readouterr().out
    assert "b.png: nothing found" in out
    assert "a.png: nothing" not in out


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_boxes_of_a_file(folder, kind, capsys):
    path = folder / f"boxes.{kind}"
    if kind == "csv":
        path.write_text(f"image,left_px,top_px,right_px,bottom_px\na.png{COLUMNS}\n")
    else:
        left, top, right, bottom = BOX
        row = dict(id=1, image_id=7, bbox=[left, top, right - left, bottom - top])
        images = [dict(id=7, file_name="a.png")]
        path.write_text(json.dumps(dict(images=images, annotations=[row] * 2)))
    assert run(folder, str(folder / "in"), "--boxes", str(path), "--csv", "--no-draw") == 1
    found = rows(folder / "out" / "predictions.csv")
    assert len(found) == 3
    assert [float(found[0][side]) for side in ("left_px", "bottom_px")] == [5, 56]
    assert "has no boxes" in capsys.readouterr().out  # of b.png


def test_boxes_of_frames(folder):
    path = folder / "boxes.csv"
    lines = [f"{frame},5,6,45,56" for frame in (2, 2, 4)]
    path.write_text("\n".join(["image,left_px,top_px,right_px,bottom_px", *lines]))
    assert run(folder, str(folder / "trot.avi"), "--boxes", str(path), "--csv", "--no-draw") == 0
    assert [row["image"] for row in rows(folder / "out" / "trot.csv")] == ["2"] * 3 + ["4"] * 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["in", "--smooth"], "a video for --smooth"),
        (["in", "--radius"], "a model with radii"),
        (["in", "--level", "0.5"], "this one has none"),
        (["in", "--no-draw"], "nothing to do"),
        (["in", "--no-draw", "--csv", "--radius"], "drawings for --radius"),
        (["in", "--detector-class", "cow"], "--detector for --detector-class"),
        (["in", "--detector-score", "0.9"], "--detector for --detector-class"),
        (["trot.avi", "--boxes", "photos.csv"], "boxes of frames"),
        (["trot.avi", "other.avi", "--boxes", "photos.csv"], "one video for --boxes"),
        (["gone.jpg"], "found nothing there"),
        (["in", "--boxes", "m.onnx"], "in a .json or .csv file"),
        (["in", "--detector", "m.onnx"], "expected"),
    ],
)
def test_wrong_input_is_a_sentence(folder, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(folder)
    shutil.copy("trot.avi", "other.avi")
    Path("photos.csv").write_text(f"image,left_px,top_px,right_px,bottom_px\na.png{COLUMNS}\n")
    assert main(["m.onnx", *arguments, "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert sentence in error


def test_a_count_is_told(folder, capsys):
    points = {"done_threshold": 0.5, "interval": [0.1, 0.9], "max_points": 2}
    about = description("points", keypoints=[], skeleton=[], colors={}, points=points)
    constant = {"keypoints": np.ones((2, 2)), "scores": np.ones(2), "over": np.array([0, 0.7, 1])}
    write_model(folder / "m.onnx", about, constant)
    assert run(folder, str(folder / "in" / "a.png")) == 0
    assert "a.png: 1 (1 to 2)" in capsys.readouterr().out


def test_a_bug_keeps_its_traceback(folder, monkeypatch):
    monkeypatch.setattr(cli, "find_sources", lambda given: int("no number"))
    with pytest.raises(ValueError, match="no number"):
        run(folder, str(folder / "in"))
