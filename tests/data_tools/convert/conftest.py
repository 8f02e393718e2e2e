"""A small YOLO-pose dataset: five points of a horse, written as Roboflow writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from equikpt.data_tools.convert.schemes import KeypointScheme

WIDTH, HEIGHT = 50, 40
NAMES = ("poll", "nose", "l_knee", "r_knee", "withers")


@pytest.fixture
def scheme() -> KeypointScheme:
    """Everything but the poll has a place in horse26."""
    return KeypointScheme(NAMES, {name: name for name in NAMES[1:]})


@pytest.fixture
def mapping_file(tmp_path: Path) -> Path:
    """The same as a YAML file."""
    path = tmp_path / "mapping.yaml"
    content = {"keypoints": list(NAMES), "mapping": {name: name for name in NAMES[1:]}}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def make_yolo(tmp_path: Path) -> Callable[..., Path]:
    """``make_yolo(num_train=3, num_valid=2, **data_yaml)``: the folder of a sound dataset."""

    def make(num_train: int = 3, num_valid: int = 2, name: str = "yolo", **changes) -> Path:
        root = tmp_path / name
        rng = np.random.default_rng(0)
        for split, count in (("train", num_train), ("valid", num_valid)):
            for kind in ("images", "labels"):
                (root / split / kind).mkdir(parents=True)
            for index in range(count):
                stem = f"{split}{index}_jpg.rf.{index:04d}"
                pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                cv2.imwrite(str(root / split / "images" / f"{stem}.jpg"), pixels)
                (root / split / "labels" / f"{stem}.txt").write_text(line() + "\n")
        content = {
            "train": "../train/images",
            "val": "../valid/images",
            "test": "../test/images",
            "kpt_shape": [5, 3],
            "flip_idx": [0, 1, 2, 3, 4],
            "names": ["horse"],
            **changes,
        }
        (root / "data.yaml").write_text(
            yaml.safe_dump({key: value for key, value in content.items() if value is not None})
        )
        return root

    return make


def line(box="0.5 0.5 0.8 0.6", points=None, class_index=0) -> str:
    """One label line; by default poll 0.1 0.1 seen, nose hidden, and so on."""
    if points is None:
        points = "0.1 0.1 2 0.2 0.3 1 0.4 0.5 2 0.6 0.75 2 0.33 0.44 0"
    return f"{class_index} {box} {points}"
