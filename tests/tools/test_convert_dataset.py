from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

MAPPING = (
    "keypoints: [nose, l_knee, r_knee]\nmapping: {nose: nose, l_knee: l_knee, r_knee: r_knee}\n"
)


@pytest.fixture
def yolo(tmp_path: Path) -> Path:
    """Two pictures with three points each."""
    root = tmp_path / "yolo"
    for split in ("train", "valid"):
        (root / split / "images").mkdir(parents=True)
        (root / split / "labels").mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
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
    assert "train: 1 pictures, 1 animals" in done.stdout
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
    assert done.stdout.endswith("[]\n")
