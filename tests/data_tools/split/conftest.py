"""Labels of horses on numbered images of numbered videos."""

from __future__ import annotations

import numpy as np
import pytest

NAMES = ("nose", "l_knee", "r_knee", "tail")


def herd(lengths=(8, 5, 4, 3, 3, 2, 2, 1, 1, 1), seed: int = 0) -> dict:
    """The content of a file: a video of each length, with one or two horses an image.

    How much is labelled and how large the horses are differs from video to video.
    """
    rng = np.random.default_rng(seed)
    images, annotations = [], []
    for video, length in enumerate(lengths):
        share, side = rng.uniform(0.2, 1), rng.uniform(20, 90)
        for frame in range(length):
            number = len(images) + 1
            images.append(
                dict(id=number, file_name=f"v{video}/{frame:03d}.png", width=200, height=150,
                     video=f"v{video}")
            )  # fmt: skip
            for _ in range(rng.integers(1, 3)):
                width = round(side * rng.uniform(0.9, 1.1), 1)
                seen = np.where(rng.random(4) < share, rng.integers(1, 3, 4), 0)
                seen[0] = 2
                points = np.column_stack([rng.uniform(5, 95, (4, 2)).round(1), seen])
                points[seen == 0] = 0
                annotations.append(
                    dict(id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                         bbox=[1, 1, width, side], area=width * side / 2,
                         num_keypoints=int((seen > 0).sum()), keypoints=points.ravel().tolist())
                )  # fmt: skip
    return dict(
        info=dict(year=2024),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name="horse", keypoints=list(NAMES))],
    )


@pytest.fixture
def content() -> dict:
    return herd()
