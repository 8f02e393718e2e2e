"""Small datasets: YOLO-pose as Roboflow writes it, COCO JSON with what other formats lose."""

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

POINTS = "0.1 0.1 2 0.2 0.3 1 0.4 0.5 2 0.6 0.75 2 0.33 0.44 0"
LINE = f"0 0.5 0.5 0.8 0.6 {POINTS}"
"""A label line of YOLO: poll 0.1 0.1 seen, nose hidden, and so on."""


@pytest.fixture
def scheme() -> KeypointScheme:
    """Everything but the poll has a counterpart in horse26."""
    return KeypointScheme(NAMES, {name: name for name in NAMES[1:]})


@pytest.fixture
def mapping_file(tmp_path: Path, scheme: KeypointScheme) -> str:
    """The same as a YAML file."""
    path = tmp_path / "mapping.yaml"
    content = {"keypoints": list(scheme.keypoints), "mapping": scheme.mapping}
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def make_yolo(tmp_path: Path) -> Callable[..., Path]:
    """``make_yolo(num_train=3, num_valid=2, **data_yaml)``: the folder of a valid dataset."""

    def make(num_train: int = 3, num_valid: int = 2, name: str = "yolo", **changes) -> Path:
        root = tmp_path / name
        rng = np.random.default_rng(0)
        for split, count in (("train", num_train), ("valid", num_valid)):
            for kind in ("images", "labels"):
                (root / split / kind).mkdir(parents=True)
            for index in range(count):
                stem = f"{split}{index}_jpg.rf.{index:04d}"
                write_image(root / split / "images" / f"{stem}.jpg", rng)
                (root / split / "labels" / f"{stem}.txt").write_text(f"{LINE}\n")
        content = {
            **{key: f"../{key}/images" for key in ("train", "test")},
            "val": "../valid/images",
            "kpt_shape": [5, 3],
            "flip_idx": [0, 1, 2, 3, 4],
            "names": ["horse"],
            **changes,
        }
        described = {key: value for key, value in content.items() if value is not None}
        (root / "data.yaml").write_text(yaml.safe_dump(described))
        return root

    return make


@pytest.fixture
def make_coco(tmp_path: Path) -> Callable[..., Path]:
    """``make_coco(names=NAMES, animals=2)``: the folder that :func:`write_coco` fills."""

    def make(names=NAMES, animals: int = 2, name: str = "coco") -> Path:
        write_coco(tmp_path / name, names, animals)
        return tmp_path / name

    return make


def write_coco(root: Path, names=NAMES, animals: int = 2) -> dict[str, dict]:
    """Write COCO's layout, three images of train and two of val, with seen and hidden points.

    The second image of train is not labelled; the last animal of each other has one point less.
    """
    rng = np.random.default_rng(1)
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train", 3), ("val", 2)):
        (root / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for image_id in range(1, count + 1):
            file_name = f"{split}_{image_id}.png"
            write_image(root / "images" / split / file_name, rng)
            size = {"width": WIDTH, "height": HEIGHT}
            images.append({"id": image_id, "file_name": file_name, **size})
            for index in range(0 if (split, image_id) == ("train", 2) else animals):
                # Beside each other: labelling tools tell animals by the box a point lies in.
                row = annotation(rng, len(names), left=24 * index, bare=index == animals - 1)
                ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1}
                annotations.append(row | ids)
        category = {"id": 1, "name": "horse", "keypoints": list(names), "skeleton": [[1, 2]]}
        content = {"images": images, "annotations": annotations, "categories": [category]}
        (root / "annotations" / f"{split}.json").write_text(json.dumps(content))
    return contents(root)


def write_image(path: Path, rng: np.random.Generator) -> None:
    """An image of noise, so that no two are the same file."""
    cv2.imwrite(str(path), rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def annotation(rng: np.random.Generator, num_points: int, left: float, bare: bool) -> dict:
    """A box 20 px wide with points in it, seen and hidden in turn, the first absent if ``bare``."""
    points = np.round(rng.uniform((left + 2, 3), (left + 18, 33), (num_points, 2)), 2)
    keypoints: list = []
    for index, (x, y) in enumerate(points.tolist()):
        keypoints += [0, 0, 0] if bare and index == 0 and num_points > 2 else [x, y, 2 - index % 2]
    row = {"bbox": [left + 1, 2, 20, 34], "area": 400.0, "iscrowd": 0, "keypoints": keypoints}
    return row | {"num_keypoints": sum(visibility > 0 for visibility in keypoints[2::3])}


def write_backup(root: Path, jobs: list[dict], tasks: int = 1, names=("nose", "tail"), **task_json):
    """A project of CVAT with tasks of two images each, 20 x 10 px; ``jobs`` draw on each task."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sublabels = [{"name": name, "type": "points"} for name in names]
    labels = [{"name": "horse", "type": "skeleton", "sublabels": sublabels}]
    (root / "project.json").write_text(json.dumps({"name": "p", "labels": labels}))
    for number in range(tasks):
        task = root / f"task_{number}"
        (task / "data").mkdir(parents=True)
        content = {"name": "t", "subset": "Train", "labels": labels, **task_json}
        (task / "task.json").write_text(json.dumps(content))
        (task / "annotations.json").write_text(json.dumps(jobs))
        lines = [{"version": "1.1"}, {"type": "images"}]
        for name in ("a", "b"):
            lines.append({"name": name, "extension": ".png", "width": 20, "height": 10})
            pixels = rng.integers(0, 256, (10, 20, 3), dtype=np.uint8)
            cv2.imwrite(str(task / "data" / f"{name}.png"), pixels)
        (task / "data/manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))


def edit(root: Path, change: Callable[[dict], object], split: str = "train") -> Path:
    """Change the annotation file of a split in place."""
    path = root / f"annotations/{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def contents(root: Path) -> dict[str, dict]:
    """COCO dict of each split."""
    return {path.stem: json.loads(path.read_text()) for path in root.glob("annotations/*.json")}


def tree(root: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
