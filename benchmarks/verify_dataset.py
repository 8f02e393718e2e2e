"""Time and memory of the checks of labels on 1 k, 10 k and 100 k annotations, without images.

    python benchmarks/verify_dataset.py [--annotations 1000 10000 100000]

The annotations are generated: poses of the sample data's horses, each moved, scaled and disturbed,
one or two on an image of 640 x 640 px, one in a thousand with left and right exchanged. Each row
comes from a fresh process.

- quick: seconds of ``verify_quickly`` (structure and geometry), the JSON's reading included.
- all: seconds of ``verify``, likewise; then the same by family of checks.
- peak: greatest resident memory of ``verify``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import repository  # noqa: F401 - finds projects/

GIBIBYTE = 2**30
SIDE_PX = 640
TEMPLATES = 64


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    return parser.parse_args(argv)


def write_labels(path: Path, count: int) -> None:
    """``count`` annotations with 26 keypoints, of which some are hidden or not labelled."""
    import numpy as np

    from equikpt.metainfo.horse26 import KEYPOINTS
    from projects.sample_horses.coco import Parameters
    from projects.sample_horses.writer import draw_image

    names = [point.name for point in KEYPOINTS]
    swap = [names.index(point.swap or point.name) for point in KEYPOINTS]
    parameters = Parameters(train=TEMPLATES, val=0, test=0, seed=0)
    renderings = [draw_image(parameters, "train", index) for index in range(TEMPLATES)]
    poses = np.array([rendering.labels[0].keypoints for rendering in renderings], float)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(count):
        points = poses[rng.integers(TEMPLATES)].copy()
        labelled = points[:, 2] > 0
        if rng.random() < 0.001:
            points = points[swap]
            labelled = labelled[swap]
        extent = np.ptp(points[labelled, :2], axis=0).max()
        scale = rng.uniform(150, 400) / extent
        points[:, :2] = (points[:, :2] - points[labelled, :2].min(axis=0)) * scale
        points[:, :2] += rng.uniform(40, 200, 2) + rng.normal(0, 3, (26, 2))
        points[~labelled] = 0
        low, high = points[labelled, :2].min(axis=0) - 5, points[labelled, :2].max(axis=0) + 5
        sides = high - low
        if index % 3 != 2:  # every third annotation shares the image of the one before
            images.append(
                dict(id=index, file_name=f"{index:07d}.jpg", width=SIDE_PX, height=SIDE_PX)
            )
        annotations.append(
            dict(
                id=index,
                image_id=images[-1]["id"],
                category_id=1,
                bbox=[*low.round(2).tolist(), *sides.round(2).tolist()],
                area=round(0.53 * float(sides.prod()), 2),
                iscrowd=0,
                num_keypoints=int(labelled.sum()),
                keypoints=points.round(2).ravel().tolist(),
            )
        )
    category = dict(id=1, name="horse", keypoints=names)
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=[category])))


def measure(path: str) -> dict[str, float]:
    """Seconds and bytes, in this process, which must be a fresh one."""
    import resource

    from equikpt.data_tools.verify.label_set import read_set
    from equikpt.data_tools.verify.run import CHECKS, verify, verify_quickly

    started = time.perf_counter()
    verify_quickly([Path(path)])
    quick_s = time.perf_counter() - started
    started = time.perf_counter()
    verdict = verify([Path(path)])
    measured = dict(quick_s=quick_s, all_s=time.perf_counter() - started)
    measured["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured["issues"] = len(verdict.issues)
    started = time.perf_counter()
    labels = read_set([Path(path)])
    measured["read and structure"] = time.perf_counter() - started
    for name, check in list(CHECKS.items())[1:]:
        started = time.perf_counter()
        list(check(labels))
        measured[name] = time.perf_counter() - started
    return measured


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    rows = []
    for count in args.annotations:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "labels.json"
            write_labels(path, count)
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                rows.append((count, pool.submit(measure, str(path)).result()))
    parts = [name for name in rows[0][1] if name not in ("quick_s", "all_s", "peak_bytes")]
    print(f"| annotations | quick, s | all, s | peak, GiB | {' | '.join(parts)} |")
    print(f"|{' --- |' * (4 + len(parts))}")
    for count, measured in rows:
        told = " | ".join(f"{measured[name]:.3g}" for name in parts)
        print(
            f"| {count:,} | {measured['quick_s']:.1f} | {measured['all_s']:.1f} | "
            f"{measured['peak_bytes'] / GIBIBYTE:.2f} | {told} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
