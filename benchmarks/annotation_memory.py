"""Load time and memory of data sets of 1 k, 10 k and 100 k annotations, stock and equikpt's.

    python benchmarks/annotation_memory.py [--annotations 1000 10000 100000] [--rounds 3]

Each figure comes from a fresh process, stock and equikpt's in turns; the table has the medians.
The data are generated: one horse with 26 labelled points and an outline in each image of
640 x 640 px, and the images are hard links to a black one. equikpt's data set opens each of them
(``check_images="header"``), the stock one opens none.

- load: seconds from the JSON to a data set that is ready.
- peak: greatest resident memory while it loads, less what the imports take.
- held: resident memory afterwards, when what was freed has gone back to the system, less the same.
- worker: memory that a forked worker has written to, and so no longer shares with its parent, once
  it has read every sample twice; in brackets once it has read them the first time.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

MEBIBYTE = 2**20
LINKS_PER_FILE = 10_000  # ext4 allows 65,000
KINDS = ("stock", "equikpt")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(argv)


def write_dataset(folder: Path, count: int) -> None:
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    folder_of_images = folder / "images"
    folder_of_images.mkdir(parents=True)
    images, annotations = [], []
    for i in range(count):
        name = f"{i:07d}.png"
        if i % LINKS_PER_FILE == 0:
            source = folder_of_images / name
            cv2.imwrite(str(source), np.zeros((640, 640, 3), np.uint8))
        else:
            os.link(source, folder_of_images / name)
        points = rng.uniform(100, 540, (26, 3)).round(2)
        points[:, 2] = 2
        images.append(dict(id=i + 1, file_name=name, width=640, height=640))
        annotations.append(
            dict(
                id=i + 1,
                image_id=i + 1,
                category_id=1,
                bbox=[100.0, 100.0, 440.0, 440.0],
                area=100_000.0,
                iscrowd=0,
                num_keypoints=26,
                keypoints=points.ravel().tolist(),
                segmentation=[rng.uniform(100, 540, 60).round(2).tolist()],
            )
        )
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name="horse")])
    (folder / "train.json").write_text(json.dumps(content))


def measure(kind: str, folder: str) -> dict[str, float]:
    """Load in this process, which must be a fresh one; seconds and MiB."""
    import resource

    from mmpose.datasets.datasets.base import BaseCocoStyleDataset

    import equikpt.register  # noqa: F401
    from equikpt.core.machine import resident_bytes
    from equikpt.datasets import Horse26Dataset
    from equikpt.metainfo.horse26 import METAINFO

    arguments = dict(data_root=folder, ann_file="train.json", data_prefix=dict(img="images/"))
    before = resident_bytes()
    started = time.perf_counter()
    if kind == "stock":
        dataset = BaseCocoStyleDataset(metainfo=METAINFO, **arguments)
    else:
        dataset = Horse26Dataset(**arguments)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    held = resident_bytes() - before
    first, second = worker_growth(dataset)
    return dict(
        load_s=seconds,
        peak_mib=peak / MEBIBYTE,
        held_mib=held / MEBIBYTE,
        worker_first_mib=first,
        worker_mib=second,
        bytes_each=len(dataset.data_bytes) / len(dataset),
    )


def worker_growth(dataset) -> tuple[float, float]:
    """MiB that a forked process has to itself after one and after two passes over the samples."""

    def work(pipe) -> None:
        gc.collect()
        start = private_mib()
        grown = []
        for _ in range(2):
            for i in range(len(dataset)):
                dataset.get_data_info(i)
            grown.append(private_mib() - start)
        pipe.send(tuple(grown))

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,))
    process.start()
    grown = ours.recv()
    process.join()
    return grown


def private_mib() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) / 1024
    raise OSError("this system tells no private memory of a process; run the benchmark on Linux")


def measure_apart(kind: str, folder: Path) -> dict[str, float]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, kind, str(folder)).result()


def main(argv: list[str] | None = None) -> int:
    from tqdm import tqdm

    args = parse_args(argv)
    print("| annotations | data set | load, s | peak, MiB | held, MiB | worker, MiB | bytes each |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in args.annotations:
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(Path(folder), count)
            measured: dict[str, list[dict]] = {kind: [] for kind in KINDS}
            for _ in tqdm(range(args.rounds), desc=f"{count} annotations", disable=None):
                for kind in KINDS:
                    measured[kind].append(measure_apart(kind, Path(folder)))
        for kind, rows in measured.items():
            mid = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            print(
                f"| {count:,} | {kind} | {mid['load_s']:.2f} | {mid['peak_mib']:.0f} | "
                f"{mid['held_mib']:.0f} | {mid['worker_mib']:.1f} ({mid['worker_first_mib']:.1f}) "
                f"| {mid['bytes_each']:.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
