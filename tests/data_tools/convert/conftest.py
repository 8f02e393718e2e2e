"""Small datasets: YOLO-pose as Roboflow writes it, COCO JSON with what other formats lose."""

from __future__ import annotations

import json
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


@pytest.fixture
def make_coco(tmp_path: Path) -> Callable[..., Path]:
    """``make_coco(names=NAMES, animals=2)``: in COCO's layout, seen and hidden points.

    The second image of train is not labelled; the last animal of each other has one point less.
    """

    def make(names=NAMES, animals: int = 2, name: str = "coco", category: str = "horse") -> Path:
        root = tmp_path / name
        rng = np.random.default_rng(1)
        annotation_id = 0
        for split, count in (("train", 3), ("val", 2)):
            (root / "images" / split).mkdir(parents=True)
            images, annotations = [], []
            for image_id in range(1, count + 1):
                file_name = f"{split}_{image_id}.png"
                write_image(root / "images" / split / file_name, rng)
                images.append(
                    {"id": image_id, "file_name": file_name, "width": WIDTH, "height": HEIGHT}
                )
                for index in range(0 if (split, image_id) == ("train", 2) else animals):
                    annotation_id += 1
                    # Beside each other: labelling tools tell animals by the box a point lies in.
                    row = annotation(rng, len(names), left=24 * index, bare=index == animals - 1)
                    row |= {"id": annotation_id, "image_id": image_id, "category_id": 1}
                    annotations.append(row)
            content = {
                "images": images,
                "annotations": annotations,
                "categories": [{"id": 1, "name": category, "keypoints": list(names)}],
            }
            path = root / "annotations" / f"{split}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
        return root

    return make


def write_image(path: Path, rng: np.random.Generator, width=WIDTH, height=HEIGHT) -> None:
    """An image of noise, so that no two are the same file."""
    cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def annotation(rng: np.random.Generator, num_points: int, left: float, bare: bool) -> dict:
    """A box 20 px wide with points in it, seen and hidden in turn, the first absent if ``bare``."""
    points = np.round(rng.uniform((left + 2, 3), (left + 18, 33), (num_points, 2)), 2)
    keypoints: list = []
    for index, (x, y) in enumerate(points.tolist()):
        keypoints += [0, 0, 0] if bare and index == 0 and num_points > 2 else [x, y, 2 - index % 2]
    return {"bbox": [left + 1, 2, 20, 34], "area": 400.0, "iscrowd": 0, "keypoints": keypoints}


def line(box="0.5 0.5 0.8 0.6", points=None, class_index=0) -> str:
    """One label line; by default poll 0.1 0.1 seen, nose hidden, and so on."""
    if points is None:
        points = "0.1 0.1 2 0.2 0.3 1 0.4 0.5 2 0.6 0.75 2 0.33 0.44 0"
    return f"{class_index} {box} {points}"
