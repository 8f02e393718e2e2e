"""An export of twelve small images, and the call that makes a project of it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.data_tools.project.recipe import MachineFacts
from equikpt.data_tools.project.steps import make_project

NAMES = ("Nase", "Ohr_li", "Ohr_re", "Schwanz")
CPU = MachineFacts(cores=2, memory=8 * 2**30)
POSE = np.array([(10, 30, 2), (15, 20, 2), (16, 24, 1), (45, 28, 2)])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Folder of COCO JSON with one animal on each image."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "export"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, 13):
        name = f"cat_{number:02d}.png"
        pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "images" / name), cv2.GaussianBlur(pixels, (0, 0), 1))
        images.append(dict(id=number, file_name=name, width=64, height=48))
        xy = POSE[:, :2] + rng.uniform(-4, 4, (4, 2)).round(2)
        points = np.column_stack([xy, POSE[:, 2]]).ravel().tolist()
        row = dict(bbox=[4, 12, 50, 28], area=700, iscrowd=0, num_keypoints=4, keypoints=points)
        annotations.append(dict(id=number, image_id=number, category_id=1, **row))
    category = dict(id=1, name="Katze", keypoints=list(NAMES), skeleton=[[1, 2], [1, 3], [1, 4]])
    content = dict(images=images, annotations=annotations, categories=[category])
    (folder / "labels.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def make(tmp_path, export):
    """``make(**options)``: the lines of a run of :func:`make_project` in ``tmp_path / "cat"``."""

    def call(root: Path = tmp_path / "cat", overwrite: bool = False, **given) -> list[str]:
        lines: list[str] = []
        given = {"input": str(export), **given}
        make_project(root, given, this_machine=CPU, overwrite=overwrite, log=lines.append)
        return lines

    return call
