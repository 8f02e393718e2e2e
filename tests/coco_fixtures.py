"""Small COCO datasets with random images."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.metainfo.schema import Keypoint, Link, build_metainfo

WIDTH, HEIGHT = 48, 32


@pytest.fixture
def tiny_metainfo() -> dict:
    """Three keypoints: nose, l_eye, r_eye."""
    keypoints = (
        Keypoint("nose", "upper", sigma=0.05, weight=1.0),
        Keypoint("l_eye", "upper", sigma=0.05, weight=1.0, swap="r_eye"),
        Keypoint("r_eye", "upper", sigma=0.05, weight=1.0, swap="l_eye"),
    )
    return build_metainfo("tiny", keypoints, (Link("nose", "l_eye"), Link("nose", "r_eye")))


@pytest.fixture
def make_coco() -> Callable[..., dict]:
    """``make_coco(num_keypoints=3, num_images=3)``: valid content, two animals an image."""

    def make(num_keypoints: int = 3, num_images: int = 3, seed: int = 0) -> dict:
        rng = np.random.default_rng(seed)
        images, annotations = [], []
        for number in range(1, num_images + 1):
            name = f"{number:03d}.png"
            images.append(dict(id=number, file_name=name, width=WIDTH, height=HEIGHT))
            for left in (1, 25):
                points = rng.uniform((left, 2, 0), (left + 20, 28, 0), (num_keypoints, 3))
                points[:, 2] = np.arange(num_keypoints) % 3
                points[points[:, 2] == 0] = 0
                ids = dict(id=len(annotations) + 1, image_id=number, category_id=1)
                box = dict(bbox=[left, 1, 21, 29], area=300.0, iscrowd=0)
                annotations.append(dict(**ids, **box, keypoints=points.ravel().tolist()))
        categories = [dict(id=1, name="horse")]
        return dict(images=images, annotations=annotations, categories=categories)

    return make


@pytest.fixture
def write_coco(tmp_path: Path) -> Callable[..., dict]:
    """``write_coco(content, missing=())``: files on disk, and the dataset arguments for them."""

    def write(content: dict, missing: tuple[str, ...] = (), root: Path = tmp_path) -> dict:
        rng = np.random.default_rng(1)
        folder = root / "images" / "train"
        folder.mkdir(parents=True, exist_ok=True)
        for row in content["images"]:
            if row["file_name"] not in missing:
                pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / row["file_name"]), pixels)
        path = root / "annotations" / "train.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return {
            "data_root": str(root),
            "ann_file": "annotations/train.json",
            "data_prefix": {"img": "images/train/"},
        }

    return write
