from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.metainfo.coco17 import KEYPOINTS

COCO17 = tuple(keypoint.name for keypoint in KEYPOINTS)

MAPPING = (
    "keypoints: [nose, l_knee, r_knee]\nmapping: {nose: nose, l_knee: l_knee, r_knee: r_knee}\n"
)


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Two images with three points each."""
    root = tmp_path / "yolo"
    rng = np.random.default_rng(0)
    for split in ("train", "valid"):
        (root / split / "images").mkdir(parents=True)
        (root / split / "labels").mkdir()
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        cv2.imwrite(str(root / split / "images" / f"{split}.jpg"), pixels)
        label = root / split / "labels" / f"{split}.txt"
        label.write_text("0 0.5 0.5 0.8 0.8 0.2 0.2 2 0.4 0.8 2 0.6 0.8 1\n")
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\nkpt_shape: [3, 3]\n"
        "flip_idx: [0, 1, 2]\nnames: [horse]\n"
    )
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return root


def arguments(yolo: Path, *more: str) -> list[str | Path]:
    folder = yolo.parent
    return [
        *("--from", "yolo-pose", "--input", yolo, "--output", folder / "out"),
        *("--mapping", folder / "mapping.yaml", *more),
    ]


def test_it_converts_once_and_refuses_to_overwrite(run_tool, yolo):
    done = run_tool("convert_dataset.py", *arguments(yolo))
    assert done.returncode == 0, done.stderr
    assert "3 of 26 keypoints of horse26 have a source" in done.stdout
    assert "flip_idx of data.yaml is wrong and is ignored" in done.stdout
    output = yolo.parent / "out"
    files = sorted(str(path.relative_to(output)) for path in output.rglob("*.*"))
    assert files == [
        "annotations/train.json",
        "annotations/val.json",
        "images/train/train.jpg",
        "images/val/valid.jpg",
    ]
    again = run_tool("convert_dataset.py", *arguments(yolo))
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "train.json exists; choose another output or replace it with --force" in again.stderr


def test_a_dry_run_writes_nothing(run_tool, yolo):
    done = run_tool("convert_dataset.py", *arguments(yolo, "--dry-run"))
    assert done.returncode == 0, done.stderr
    assert "train: 1 images, 1 animals" in done.stdout
    assert not (yolo.parent / "out").exists()


def test_a_wrong_label_is_one_line(run_tool, yolo):
    (yolo / "train/labels/train.txt").write_text("0 0.5 0.5\n")
    done = run_tool("convert_dataset.py", *arguments(yolo))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "train.txt:1 has 3 values; expected 14" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (yolo.parent / "out").exists()


def test_copy_and_link_exclude_each_other(run_tool, yolo):
    done = run_tool("convert_dataset.py", *arguments(yolo, "--copy", "--link"))
    assert done.returncode == 2
    assert "not allowed with" in done.stderr


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """One image of a person with COCO's names, and a prediction on it; without the image."""
    image = {"id": 1, "file_name": "a.jpg", "width": 50, "height": 40}
    keypoints = [value for index in range(17) for value in (index + 1, 20, 2)]
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 30], "area": 500}
    content = {
        "images": [image],
        "annotations": [{**row, "keypoints": keypoints, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17)}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    keypoints[2::3] = [0.9] * 16 + [0.2]
    result = {"image_id": 1, "category_id": 1, "keypoints": keypoints, "score": 0.7}
    (tmp_path / "results.json").write_text(json.dumps([result]))
    return path


def test_predictions_go_to_a_labelling_tool_and_back(run_tool, coco, tmp_path):
    common = ("--from", "coco", "--input", coco, "--output", tmp_path / "out")
    predictions = ("--predictions", tmp_path / "results.json", "--score", "0.5")
    done = run_tool("convert_dataset.py", *common, *predictions, "--to", "label-studio")
    assert done.returncode == 0, done.stderr
    assert "1 predicted points score below 0.5, left out" in done.stdout
    (task,) = json.loads((tmp_path / "out/tasks.json").read_text())
    regions = task["predictions"][0]["result"]
    assert [region["type"] for region in regions] == ["rectanglelabels"] + ["keypointlabels"] * 16

    # Accepted in the tool, they come back as labels.
    task["annotations"] = [{"result": regions}]
    (tmp_path / "export.json").write_text(json.dumps([task]))
    done = run_tool(
        "convert_dataset.py",
        *("--from", "label-studio", "--input", tmp_path / "export.json", "--labels-only"),
        *("--output", tmp_path / "back", "--to", "coco17", "--mapping", mapping_of_16(tmp_path)),
        *("--split", "val"),
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "back/annotations/val.json").read_text())["annotations"]
    assert row["num_keypoints"] == 16
    assert row["keypoints"][:6] == [1, 20, 2, 2, 20, 2]


def mapping_of_16(folder: Path) -> Path:
    path = folder / "sixteen.yaml"
    path.write_text("mapping:\n" + "".join(f"  {name}: {name}\n" for name in COCO17[:16]))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param([], "1 of 1 images are missing", id="no images"),
        pytest.param(["--to", "coco17", "--image-prefix", "x"], "--image-prefix does not", id="px"),
        pytest.param(["--to", "cvat", "--labels-only"], "--labels-only is for COCO", id="labels"),
        pytest.param(["--to", "cvat", "--link"], "--link does not go with cvat", id="link"),
        pytest.param(["--to", "p1p2"], "no keypoint of p1p2 is named nose", id="names"),
        pytest.param(["--from", "sleap"], "no SLEAP file|needs sleap-io", id="format"),
    ],
)
def test_a_mistake_is_one_line(run_tool, coco, tmp_path, options, said):
    common = ["--from", "coco", "--to", "coco17", "--input", coco, "--output", tmp_path / "out"]
    done = run_tool("convert_dataset.py", *common, *options)
    assert done.returncode == 2
    assert re.search(said, done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_help_imports_nothing_heavy():
    tool = Path(__file__).resolve().parents[2] / "tools" / "convert_dataset.py"
    code = (
        "import runpy, sys\nsys.argv = ['convert_dataset.py', '--help']\n"
        f"try:\n    runpy.run_path({str(tool)!r}, run_name='tool')['main'](['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'cv2', 'numpy', 'mmengine'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tool.parents[1]
    )
    assert done.returncode == 0, done.stderr
    assert "horses16" in done.stdout
    assert "| dlc |" in done.stdout
    assert done.stdout.endswith("[]\n")
