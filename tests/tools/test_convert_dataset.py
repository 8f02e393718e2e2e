from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.metainfo.coco17 import KEYPOINTS

TOOL = "convert_dataset"
COCO17 = tuple(keypoint.name for keypoint in KEYPOINTS)


@pytest.fixture
def yolo(tmp_path: Path) -> tuple:
    """Options to read two images with three points each."""
    root = tmp_path / "yolo"
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(root / split / "images" / f"{split}.jpg"), pixels)
        label = root / split / "labels" / f"{split}.txt"
        label.write_text("0 0.5 0.5 0.8 0.8 0.2 0.2 2 0.4 0.8 2 0.6 0.8 1\n")
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nkpt_shape: [3, 3]\n"
        "flip_idx: [0, 1, 2]\nnames: [horse]\n"
    )
    (tmp_path / "mapping.yaml").write_text(
        "keypoints: [nose, l_knee, r_knee]\nmapping: {nose: nose, l_knee: l_knee, r_knee: r_knee}\n"
    )
    options = ("--from", "yolo-pose", "--input", root, "--output", tmp_path / "out")
    return (*options, "--mapping", tmp_path / "mapping.yaml")


def test_it_converts_once_and_refuses_to_overwrite(call_tool, yolo, tmp_path):
    assert "train: 1 images, 1 animals" in call_tool(TOOL, *yolo, "--dry-run")
    assert not (tmp_path / "out").exists()
    printed = call_tool(TOOL, *yolo)
    assert "3 of 26 keypoints of horse26 have a source" in printed
    assert "flip_idx of data.yaml is wrong and is ignored" in printed
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert files == {
        *("annotations/train.json", "annotations/val.json"),
        *("images/train/train.jpg", "images/val/valid.jpg"),
    }
    assert "train.json exists" in call_tool(TOOL, *yolo, code=2)


def test_the_format_is_guessed(call_tool, yolo):
    printed = call_tool(TOOL, *yolo[2:], "--dry-run")
    assert printed.splitlines()[0].startswith("data.yaml, YOLO-pose")
    assert "train: 1 images, 1 animals" in printed


def test_a_wrong_label_is_one_line(call_tool, yolo, tmp_path):
    (tmp_path / "yolo/train/labels/train.txt").write_text("0 0.5 0.5\n")
    assert "train.txt:1 has 3 values; expected 14" in call_tool(TOOL, *yolo, code=2)
    assert not (tmp_path / "out").exists()


def test_predictions_go_to_a_labelling_tool_and_back(call_tool, tmp_path):
    image = {"id": 1, "file_name": "a.jpg", "width": 50, "height": 40}
    keypoints = [value for index in range(17) for value in (index + 1, 20, 2)]
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 30], "area": 500}
    content = {
        "images": [image],
        "annotations": [{**row, "keypoints": keypoints, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17)}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    scored = [*keypoints]
    scored[2::3] = [0.9] * 16 + [0.2]
    result = {"image_id": 1, "category_id": 1, "keypoints": scored, "score": 0.7}
    (tmp_path / "results.json").write_text(json.dumps([result]))
    printed = call_tool(
        *(TOOL, "--from", "coco", "--input", tmp_path / "coco.json", "--to", "label-studio"),
        *("--predictions", tmp_path / "results.json", "--score", "0.5"),
        *("--output", tmp_path / "out"),
    )
    assert "1 predicted points score below 0.5, left out" in printed
    (task,) = json.loads((tmp_path / "out/tasks.json").read_text())
    regions = task["predictions"][0]["result"]
    assert [region["type"] for region in regions] == ["rectanglelabels"] + ["keypointlabels"] * 16

    # accepted in the tool, they come back as labels
    task["annotations"] = [{"result": regions}]
    (tmp_path / "export.json").write_text(json.dumps([task]))
    mapping = "mapping:\n" + "".join(f"  {name}: {name}\n" for name in COCO17[:16])
    (tmp_path / "sixteen.yaml").write_text(mapping)
    call_tool(
        *(TOOL, "--from", "label-studio", "--input", tmp_path / "export.json", "--labels-only"),
        *("--output", tmp_path / "back", "--to", "coco17", "--split", "val"),
        *("--mapping", tmp_path / "sixteen.yaml"),
    )
    (row,) = json.loads((tmp_path / "back/annotations/val.json").read_text())["annotations"]
    assert row["num_keypoints"] == 16
    assert row["keypoints"][:6] == [1, 20, 2, 2, 20, 2]


def test_help_has_the_tables_of_formats_and_schemes(call_tool):
    printed = call_tool(TOOL, "--help")
    assert "horses16" in printed
    assert "| dlc |" in printed
