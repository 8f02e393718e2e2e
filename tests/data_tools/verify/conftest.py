"""Labels that are in order, for tests that break them."""

import json
from pathlib import Path

import numpy as np
import pytest

from equikpt.data_tools.verify.label_set import LabelSet, read_set
from equikpt.metainfo.coco17 import KEYPOINTS

NAMES = [point.name for point in KEYPOINTS]

# fmt: off
STANDING = np.array([  # a person from the front, who is 1 high; left is on the right of the image
    (0.00, 0.05), (0.02, 0.03), (-0.02, 0.03), (0.05, 0.05), (-0.05, 0.05),
    (0.13, 0.18), (-0.13, 0.18), (0.19, 0.34), (-0.19, 0.34), (0.22, 0.48), (-0.22, 0.48),
    (0.09, 0.50), (-0.09, 0.50), (0.10, 0.73), (-0.10, 0.73), (0.11, 0.95), (-0.11, 0.95),
])
# fmt: on


def person(
    number: int, image: int, rng: np.random.Generator, corner: tuple[float, float] = (100, 20)
) -> dict:
    """A valid annotation: a standing person of about 200 px, each of another stature."""
    points = STANDING * rng.uniform((0.8, 0.95), (1.2, 1.05)) + rng.normal(0, 0.012, (17, 2))
    points = points * rng.uniform(180, 200) + corner
    low, high = points.min(axis=0) - 4, points.max(axis=0) + 4
    keypoints = [value for x, y in points.round(2).tolist() for value in (x, y, 2)]
    return dict(
        id=number, image_id=image, category_id=1, iscrowd=0, num_keypoints=17,
        keypoints=keypoints, area=round(0.5 * float((high - low).prod()), 1),
        bbox=[*low.round(2).tolist(), *(high - low).round(2).tolist()],
    )  # fmt: skip


def people(count: int, seed: int = 0) -> dict:
    """The content of a valid file with one person on each of ``count`` images of 300 x 260 px."""
    rng = np.random.default_rng(seed)
    return dict(
        images=[
            dict(id=i, file_name=f"{i}.png", width=300, height=260) for i in range(1, count + 1)
        ],
        annotations=[person(i, i, rng, tuple(rng.uniform(60, 200, 1)) + (20,))
                     for i in range(1, count + 1)],
        categories=[dict(id=1, name="person", keypoints=NAMES)],
    )  # fmt: skip


def points_of(annotation: dict) -> np.ndarray:
    """(17, 3) of an annotation."""
    return np.array(annotation["keypoints"], float).reshape(-1, 3)


def set_points(annotation: dict, points: np.ndarray) -> None:
    annotation["keypoints"] = points.ravel().tolist()


def codes_of(issues) -> list[tuple[str, int | None]]:
    """Code and annotation of each issue."""
    return [(issue.code, issue.subject.annotation_id) for issue in issues]


@pytest.fixture
def read(tmp_path):
    """Call ``read(content, ...)`` with the content of one or more files: what the checks get."""

    def call(*contents: dict, img_dirs: tuple[Path, ...] = (), metainfo: str | None = None):
        paths = [tmp_path / f"labels_{number}.json" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(json.dumps(content))
        labels: LabelSet = read_set(paths, img_dirs, metainfo)
        return labels

    return call
