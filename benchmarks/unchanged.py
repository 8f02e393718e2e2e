r"""Compare how another checkout trains and tests with this one, step by step.

    git worktree add /tmp/before COMMIT
    python benchmarks/unchanged.py --before /tmp/before --horses DIR --films DIR --people DIR \
        --cells DIR --checkpoint td-hm_efficientnet-lite0_horse26-192x192 best.pth

Both checkouts train the first ``STEPS`` steps of each config with one seed and one thread by their
own ``tools/train.py``, at the same time, so that what else the machine does slows both down, and
test the checkpoint by their own ``tools/test.py``. The table has the largest difference of a loss,
relative to the loss, the ratio of the median step times, and both results of the test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from runs import REPO
from tqdm import tqdm

STEPS = 20
TOLERANCE = 1e-6
"""Relative difference of losses up to which they are equal."""
CONFIGS = {  # name: (data, epochs that hold STEPS steps)
    "rtmpose_m_ap10k": ("horses", 1),
    "hrnet_w32_ap10k": ("horses", 1),
    "td-hm_efficientnet-lite0_horse26-192x192": ("horses", 1),
    "td-hm_efficientnet-lite0_p1p2-512x512": ("films", 2),
    "td-hm_litehrnet_coco-256x192": ("people", 8),
    "sequential_efficientnet-lite0_fsc147-384x384": ("cells", 1),
}
DATA = ("horses", "films", "people", "cells")
FORMER_NAMES = {
    "td-hm_efficientnet-lite0_horse26-192x192": "rtmpose_timm_ap10k",
    "td-hm_efficientnet-lite0_p1p2-512x512": "p1p2_timm_512",
    "td-hm_litehrnet_coco-256x192": "litehrnet_coco",
    "sequential_efficientnet-lite0_fsc147-384x384": "sequential_fsc147_384",
}
"""Former names of configs that were renamed."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    for name in DATA:
        parser.add_argument(f"--{name}", type=Path, help="as of benchmarks/every_config.py")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument(
        "--checkpoint", nargs=2, metavar=("CONFIG", "FILE"), help="test this on its validation set"
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/unchanged"))
    return parser.parse_args(argv)


def name_in(checkout: Path, name: str) -> str:
    """Name of a config in a checkout, which may be from before it was renamed."""
    there = (checkout / "configs" / f"{name}.py").is_file()
    return name if there else FORMER_NAMES[name]


def run_tool(checkout: Path, tool: str, *arguments: object, log: Path) -> None:
    """Run ``tools/TOOL`` of a checkout with its own package.

    Raises:
        RuntimeError: The tool failed; names the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        done = subprocess.run(
            [sys.executable, str(checkout / "tools" / tool), *map(str, arguments)],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=checkout,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)},
        )
    if done.returncode:
        raise RuntimeError(
            f"{tool} of {checkout} ended with exit code {done.returncode}; see {log}"
        )


def first_steps(checkout: Path, name: str, data: Path, epochs: int, folder: Path) -> np.ndarray:
    """(STEPS, 2): loss and seconds of each step."""
    config = (checkout / "configs" / f"{name_in(checkout, name)}.py").read_text()
    run_tool(
        checkout, "train.py", name_in(checkout, name),
        *(["--from-scratch"] if "zoo://" in config else []),
        "--data-root", data, "--epochs", epochs, "--seed", 0,
        "--work-dir", folder / "run", "--overwrite", "--no-verify",
        "--cfg-options", "default_hooks.logger.interval=1", log=folder / "train.log",
    )  # fmt: skip
    newest = max((folder / "run").glob("*/vis_data/scalars.json"), key=os.path.getmtime)
    rows = [json.loads(line) for line in newest.read_text().splitlines()]
    steps = [(row["loss"], row["time"]) for row in rows if "loss" in row and "data_time" in row]
    if len(steps) < STEPS:
        raise RuntimeError(f"expected {STEPS} steps in {newest}, found {len(steps)}; more epochs")
    return np.array(steps[:STEPS])


def test(checkout: Path, name: str, checkpoint: Path, data: Path, folder: Path) -> dict:
    """Metrics of a checkpoint on the validation images."""
    run_tool(
        checkout, "test.py", name_in(checkout, name), checkpoint.resolve(),
        "--data-root", data, "--split", "val",
        "--work-dir", folder, log=folder / "test.log",
    )  # fmt: skip
    newest = max(folder.glob("*/*.json"), key=os.path.getmtime)
    return json.loads(newest.read_text().splitlines()[-1])


def compare_training(args: argparse.Namespace, name: str) -> tuple[str, bool]:
    """A row of the table, and whether the losses are equal."""
    kind, epochs = CONFIGS[name]
    data = getattr(args, kind).resolve()
    folder = args.out.resolve() / name
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(first_steps, checkout, name, data, epochs, folder / side)
            for side, checkout in (("before", args.before.resolve()), ("after", REPO))
        ]
        before, after = (run.result() for run in runs)
    difference = np.abs(after[:, 0] / before[:, 0] - 1).max()
    ratio = np.median(after[:, 1]) / np.median(before[:, 1])
    return (
        f"| {name} | {before[0, 0]:.6g} … {before[-1, 0]:.6g} | {difference:.1e} | {ratio:.3f} |",
        bool(difference <= TOLERANCE),
    )


def compare_tests(args: argparse.Namespace) -> tuple[str, bool]:
    """Both results of the test in a line, and whether they are equal."""
    name, checkpoint = args.checkpoint
    data = getattr(args, CONFIGS[name][0]).resolve()
    before, after = (
        test(checkout, name, Path(checkpoint), data, args.out.resolve() / "test" / side)
        for side, checkout in (("before", args.before.resolve()), ("after", REPO))
    )
    keys = [key for key in before if "time" not in key and key in after]
    equal = all(np.isclose(before[key], after[key], rtol=TOLERANCE) for key in keys)
    shown = ", ".join(f"{key} {before[key]:.6g} / {after[key]:.6g}" for key in keys[:2])
    return f"{Path(checkpoint).name} of {name}: {len(keys)} metrics, {shown}", bool(keys) and equal


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    lacking = {CONFIGS[name][0] for name in args.configs if getattr(args, CONFIGS[name][0]) is None}
    if lacking:
        raise ValueError(f"expected --{', --'.join(sorted(lacking))}; or name other --configs")
    rows = [compare_training(args, name) for name in tqdm(args.configs, unit="config")]
    print("| config | loss, first and last step | largest difference | step time |")
    print("| --- | --- | --- | --- |")
    print("\n".join(row for row, _ in rows))
    if args.checkpoint:
        rows.append(compare_tests(args))
        print(rows[-1][0])
    return 0 if all(equal for _, equal in rows) else 1


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
