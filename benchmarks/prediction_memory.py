"""Measure the memory of a long `tools/visualize.py --csv`, with and without its table.

Images of many sizes are predicted one after another with a small network of random weights.
Each line is a process of its own: drawn without a table, with the table, with DeepLabCut's beside
it, and with ``MALLOC_MMAP_THRESHOLD_=65536``, with which glibc gives the memory of images back at
once. The growth between a quarter and the whole of the images is what a longer run goes on with.

    python benchmarks/prediction_memory.py [--count 3000] [--only csv]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CONFIG = "smoke/rtmpose_m_ap10k"
DISTINCT = 100
"""Images; the others are links to them."""
LARGEST_PX, SMALLEST_PX = 1600, 300
MEASURES = 8
MODES = {
    "drawn": ("draw", {}),
    "csv": ("csv", {}),
    "csv-dlc": ("dlc", {}),
    "csv-malloc": ("csv", {"MALLOC_MMAP_THRESHOLD_": "65536"}),
}


def write_images(folder: Path, count: int) -> None:
    import cv2

    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number < DISTINCT:
            width, height = rng.integers(SMALLEST_PX, LARGEST_PX, 2)
            coarse = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
            cv2.imwrite(str(path), cv2.resize(coarse, (int(width), int(height))))
        else:
            os.link(folder / f"{rng.integers(DISTINCT):06d}.jpg", path)


def write_checkpoint(path: Path) -> None:
    import torch
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401
    from equikpt.cli.launch import load_config

    init_default_scope("mmpose")
    torch.manual_seed(0)
    model = MODELS.build(load_config(CONFIG).model)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)


def measure(folder: Path, mode: str, count: int) -> None:
    """Predict in this process, and print resident MiB by number of images."""
    from equikpt.apis import images
    from equikpt.cli.commands.visualize import VisualizeOptions, visualize
    from equikpt.core.machine import resident_bytes

    measured, whole = {}, images.show

    def show(*args, **kwargs):
        for number, each in enumerate(whole(*args, **kwargs), start=1):
            yield each
            if number % (count // MEASURES) == 0:
                measured[number] = round(resident_bytes() / 2**20)

    images.show = show
    outputs = dict(csv=folder / "out.csv")
    if mode == "dlc":
        outputs["dlc"] = folder / "dlc.csv"
    if mode == "draw":
        outputs = dict(out_dir=folder / "drawn")
    options = VisualizeOptions(
        config=CONFIG,
        checkpoint=folder / "weights.pth",
        img_dir=folder / "images",
        device="cpu",
        overwrite=True,
        **outputs,
    )
    visualize(options)
    print(json.dumps(measured))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--only", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--measure", nargs=2, metavar=("DIR", "MODE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure[0]), args.measure[1], args.count)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        write_images(folder / "images", args.count)
        write_checkpoint(folder / "weights.pth")
        for title in args.only:
            mode, env = MODES[title]
            command = [sys.executable, __file__, "--measure", name, mode, "--count"]
            done = subprocess.run(
                [*command, str(args.count)], env=os.environ | env, capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(done.stderr)
            mib = list(json.loads(done.stdout.splitlines()[-1]).items())
            (first, low), (last, high) = mib[1], mib[-1]
            growth = (high - low) / (int(last) - int(first)) * 1000
            course = ", ".join(f"{value}" for _, value in mib)
            print(f"{title}: {course} MiB; {growth:+.0f} MiB for each 1,000 images", flush=True)


if __name__ == "__main__":
    main()
