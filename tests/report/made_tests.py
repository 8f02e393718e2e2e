"""Tests with known results, as if a run had been tested."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pandas as pd

import equikpt.register  # noqa: F401 - the metrics that present themselves
from equikpt.metainfo.schema import SIDE_COLORS_RGB
from equikpt.report.evaluation import Evaluation, Sample, parts_of

NAMES = ["nose", "l_hoof", "r_hoof", "tail"]
META = dict(
    dataset_name="made",
    num_keypoints=4,
    keypoint_colors=[list(SIDE_COLORS_RGB[side]) for side in ("middle", "left", "right", "middle")],
    skeleton_links=[[0, 1], [0, 2]],
    skeleton_link_colors=[list(SIDE_COLORS_RGB[side]) for side in ("left", "right")],
    sigmas=[0.05] * 4,
    flip_indices=[0, 2, 1, 3],
    names=NAMES,
)
GT = np.array([(100.0, 50, 2), (60, 150, 2), (140, 150, 1), (0, 0, 0)])
BOX = [40.0, 30, 120, 160]
"""Its longer side is 160 px: 16 px is a tenth."""


def pose(offset_px=0.0, image: str = "a.png", swapped: bool = False, **changes) -> Sample:
    """One animal, all of its points off to the right by ``offset_px``, a number or one a point."""
    predicted = GT[:, :2] + np.stack([np.broadcast_to(offset_px, 4), np.zeros(4)], axis=1)
    if swapped:
        predicted[[1, 2]] = predicted[[2, 1]]
    values = dict(
        image=image,
        group=image,
        predicted=[predicted.tolist()],
        scores=[[0.9, 0.8, 0.4, 0.1]],
        gt=[GT.tolist()],
        boxes=[BOX],
        areas=[120.0 * 160],
    )
    return Sample(**values | changes)


def made_evaluation(samples, grouped: bool = False, **changes) -> Evaluation:
    """A test of poses."""
    samples = tuple(samples)
    values = dict(
        key="k",
        checkpoint="runs/made/best.pth",
        labels="data/annotations/test.json",
        images="/",
        metrics={"coco/AP": 0.5, "coco/AP (M)": -1.0, "coco/AR": 0.6, "keypoint/PCK@0.1": 0.75},
        tables={},
        parts=parts_of(samples, META, (0.05, 0.1), grouped, resamples=100),
        meta=META,
        samples=samples,
        versions={"equikpt": "0.0.1"},
    )
    return Evaluation(**values | changes)


def other_evaluation(samples, **changes) -> Evaluation:
    """A test of something else than poses."""
    return msgspec.structs.replace(
        made_evaluation([pose()]), samples=tuple(samples), parts=None, **changes
    )


def write_images(folder: Path, names) -> list[str]:
    """Images of 200 × 200 px of noise; their paths."""
    rng = np.random.default_rng(0)
    paths = []
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        encoded = cv2.imencode(".png", rng.integers(0, 256, (200, 200, 3)).astype(np.uint8))[1]
        path.write_bytes(encoded.tobytes())
        paths.append(str(path))
    return paths


def radiograph_table(paths) -> pd.DataFrame:
    """Of ``RulerMetric``: the further down, the worse."""
    rows = []
    for index, path in enumerate(paths):
        row = dict(
            radiograph=Path(path).name, true_distance_px=80.0, scale_error_percent=float(index)
        )
        for mark, x in (("p1", 60.0), ("p2", 140.0)):
            row |= {
                f"{mark}_error_px": float(index), f"{mark}_error_mm": index / 8,
                f"{mark}_x": x + index, f"{mark}_y": 100.0,
                f"{mark}_true_x": x, f"{mark}_true_y": 100.0,
            }  # fmt: skip
        rows.append(row | dict(path=path))
    return pd.DataFrame(rows)
