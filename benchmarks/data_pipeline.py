"""Milliseconds that one training sample takes: MMPose's own pipeline and equikpt's, in turns.

    python benchmarks/data_pipeline.py --data-root data [--rounds 7] [--samples 300]

Both draw the same augmentation from the same seed, that of MMPose's RTMPose-m for AP-10K: flip,
half body, shift, scale and rotation of the box, crop of 256 x 256 px, SimCC labels of 26 points,
packing. Left out are two transforms of that config: ``mmdet.YOLOXHSVRandomAug``, which belongs to
another package, and ``Albumentation``, which fails with albumentations 2.

- stock: ``BaseCocoStyleDataset`` with stock transforms.
- decoding: equikpt's, without a store of images.
- cold: the same with an empty store, so that each image is decoded and stored: a first epoch.
- cached: the same once more, with all images in the store: every later epoch.
- full: equikpt's own training pipeline, cached, which adds colours, blur, noise and occlusion.

A round takes all samples once each way, after each other, in one process with one thread, as a
data-loader worker has. The table has medians over the rounds; a ratio is the median of the
rounds' ratios. It is preceded by the largest difference between the outputs of the two.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections import defaultdict
from pathlib import Path

from repository import REPO

CODEC = dict(
    type="SimCCLabel",
    input_size=(256, 256),
    sigma=(5.66, 5.66),
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
STOCK = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),
    dict(type="RandomBBoxTransform", scale_factor=[0.6, 1.4], rotate_factor=80),
    dict(type="TopdownAffine", input_size=CODEC["input_size"]),
    dict(type="GenerateTarget", encoder=CODEC),
    dict(type="PackPoseInputs"),
]
FASTER = dict(
    LoadImage="LoadCachedImage",
    RandomBBoxTransform="FastRandomBBoxTransform",
    TopdownAffine="TopdownAffineCrop",
    PackPoseInputs="FastPackPoseInputs",
    SimCCLabel="FastSimCCLabel",
)
"""equikpt's drop-in for a stock transform or codec; the others are taken as they are."""
WAYS = ("stock", "decoding", "cold", "cached", "full")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--ann-file", default="annotations/train.json")
    parser.add_argument("--images", default="images/train/")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def faster(pipeline: list[dict]) -> list[dict]:
    steps = copy.deepcopy(pipeline)
    for step in steps:
        step["type"] = FASTER.get(step["type"], step["type"])
        if "encoder" in step:
            name = step["encoder"]["type"]
            step["encoder"]["type"] = FASTER.get(name, name)
    return steps


def build_datasets(args: argparse.Namespace) -> dict:
    """The stock data set, equikpt's with the same augmentation, and with its own."""
    from mmengine.config import Config
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset

    from equikpt.datasets import Horse26Dataset
    from equikpt.metainfo.horse26 import METAINFO

    files = dict(
        data_root=str(args.data_root), ann_file=args.ann_file, data_prefix=dict(img=args.images)
    )
    config = Config.fromfile(REPO / "configs" / "rtmpose_m_ap10k.py")
    full = config.train_dataloader.dataset
    return dict(
        stock=BaseCocoStyleDataset(metainfo=METAINFO, pipeline=STOCK, **files),
        faster=Horse26Dataset(pipeline=faster(STOCK), **files),
        full=Horse26Dataset(codec=full.codec, pipeline=full.pipeline, **files),
    )


def seeded(seed: int) -> None:
    import numpy as np

    np.random.seed(seed)  # noqa: NPY002 - the state that the stock transforms draw from


def largest_differences(stock, faster, count: int) -> tuple[int, float]:
    """Grey levels of the inputs, and px of the points, over ``count`` samples of one seed."""
    import numpy as np

    level, px = 0, 0.0
    for index in range(count):
        ours, theirs = {}, {}
        for dataset, out in ((stock, theirs), (faster, ours)):
            seeded(index)
            out.update(dataset.get_data_info(index), dataset=dataset)
            for step in dataset.pipeline.transforms[:-1]:
                out.update(step(out))
        difference = np.abs(ours["img"].astype(int) - theirs["img"])
        level = max(level, int(difference.max()))
        shift = np.abs(ours["transformed_keypoints"] - theirs["transformed_keypoints"])
        px = max(px, float(shift.max()))
    return level, px


def milliseconds_a_sample(dataset, count: int, seed: int) -> float:
    seeded(seed)
    started = time.perf_counter()
    for index in range(count):
        dataset[index]
    return (time.perf_counter() - started) / count * 1e3


def milliseconds_a_stage(dataset, count: int, seed: int) -> dict[str, float]:
    seeded(seed)
    seconds: dict[str, float] = defaultdict(float)
    for index in range(count):
        now = time.perf_counter()
        results = {**dataset.get_data_info(index), "dataset": dataset}
        for name, step in [("annotation", None), *named_steps(dataset)]:
            results = step(results) if step else results
            before, now = now, time.perf_counter()
            seconds[name] += now - before
    return {name: total / count * 1e3 for name, total in seconds.items()}


def named_steps(dataset) -> list[tuple]:
    return [(type(step).__name__, step) for step in dataset.pipeline.transforms]


def use_cache(dataset, cache) -> None:
    dataset.pipeline.transforms[0].cache = cache


def one_round(datasets: dict, count: int, seed: int) -> dict[str, float]:
    from equikpt.datasets.image_cache import ImageCache, default_max_bytes

    cache = ImageCache(default_max_bytes())
    plain, ours, full = datasets["stock"], datasets["faster"], datasets["full"]
    took = {"stock": milliseconds_a_sample(plain, count, seed)}
    use_cache(ours, ImageCache(0))
    took["decoding"] = milliseconds_a_sample(ours, count, seed)
    use_cache(ours, cache)
    took["cold"] = milliseconds_a_sample(ours, count, seed)
    took["cached"] = milliseconds_a_sample(ours, count, seed)
    use_cache(full, cache)
    took["full"] = milliseconds_a_sample(full, count, seed)
    return took


def print_ways(rounds: list[dict[str, float]]) -> None:
    print("| way | ms a sample | stock takes times as long |\n| --- | --- | --- |")
    for way in WAYS:
        milliseconds = statistics.median(took[way] for took in rounds)
        ratio = statistics.median(took["stock"] / took[way] for took in rounds)
        print(f"| {way} | {milliseconds:.2f} | {ratio:.2f} |")


def print_stages(datasets: dict, args: argparse.Namespace) -> None:
    for way, dataset in datasets.items():
        passes = [
            milliseconds_a_stage(dataset, args.samples, args.seed + i) for i in range(args.rounds)
        ]
        print(f"\n| {way} | ms |\n| --- | --- |")
        for name in passes[0]:
            print(f"| {name} | {statistics.median(took[name] for took in passes):.3f} |")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    import cv2
    import torch
    from mmengine.registry import init_default_scope
    from tqdm import tqdm

    import equikpt.register  # noqa: F401
    from equikpt.core import machine
    from equikpt_runtime.machine import usable_cores

    init_default_scope("mmpose")
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    datasets = build_datasets(args)
    count = args.samples = min(args.samples, len(datasets["stock"]))
    level, px = largest_differences(datasets["stock"], datasets["faster"], count)
    rounds = [
        one_round(datasets, count, args.seed + i)
        for i in tqdm(range(args.rounds + 1), desc="rounds", disable=None)
    ][1:]  # the first one warms up
    print(f"{machine.cpu_model()}, {usable_cores()} cores; one thread")
    print(f"{count} samples, {args.rounds} rounds")
    print(f"largest difference from stock: {level} grey levels, {px:.1e} px\n")
    print_ways(rounds)
    print_stages(datasets, args)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
