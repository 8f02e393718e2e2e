"""Horses whose points were clicked with known errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from equikpt.metainfo.horse26 import KEYPOINTS

NAMES = [point.name for point in KEYPOINTS]
SIGMAS = np.linspace(0.02, 0.1, len(NAMES))


def horses(count: int = 60, each: int = 1) -> dict:
    """A true annotation file; some points are not labelled."""
    rng = np.random.default_rng(7)
    images, annotations = [], []
    for number in range(1, count + 1):
        images.append(
            dict(id=number, file_name=f"{number % 12}/{number}.png", width=900, height=400)
        )
        for column in range(each):
            width, height = rng.uniform(150, 250, 2)
            left = 10 + 300 * column
            points = rng.uniform((left, 10), (left + width, 10 + height), (len(NAMES), 2))
            seen = np.where(rng.random(len(NAMES)) < 0.2, 0, 2)
            seen[0] = 2
            annotations.append(
                dict(id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                     bbox=[left, 10, width, height], area=width * height / 2,
                     keypoints=np.column_stack([points, seen]).ravel().tolist())
            )  # fmt: skip
    return dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name="horse", keypoints=NAMES)],
    )


def clicked(content: dict, seed: int, gross: float = 0.0) -> dict:
    """The file as an annotator with errors of ``SIGMAS`` labels it, a share of points far off."""
    rng = np.random.default_rng(seed)
    annotations = []
    for row in content["annotations"]:
        points = np.array(row["keypoints"], float).reshape(-1, 3)
        size = np.sqrt(row["area"])
        # in x and in y, so that the mean of d² is sigma² s²
        points[:, :2] += rng.normal(0, SIGMAS[:, None] / np.sqrt(2), (len(points), 2)) * size
        far = rng.random(len(points)) < gross
        points[far, :2] += rng.normal(0, size, (far.sum(), 2))
        annotations.append({**row, "keypoints": points.ravel().tolist()})
    return {**content, "annotations": annotations}


def results(content: dict) -> list[dict]:
    """An annotation file as a model's results."""
    rows = []
    for row in content["annotations"]:
        points = np.array(row["keypoints"], float).reshape(-1, 3)
        points[:, 2] = 0.5
        rows.append(dict(image_id=row["image_id"], category_id=1, score=0.7,
                         keypoints=points.ravel().tolist()))  # fmt: skip
    return rows


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path
