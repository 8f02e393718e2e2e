"""From nothing to predictions: sample horses, a small model, its AP and a picture of it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
CONFIG = "smoke/hrnet_w32_ap10k"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make sample data, train a small model on it, test it and draw predictions. "
        "An interrupted demo goes on where it stopped."
    )
    parser.add_argument("--data", default="data/sample", help="folder for the sample data")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="folder for the run")
    parser.add_argument("--train", type=int, default=600, help="training pictures")
    parser.add_argument("--val", type=int, default=100, help="validation pictures")
    parser.add_argument("--epochs", type=int, help="epochs (default: the config's)")
    return parser.parse_args(argv)


def step(title: str, *command: object) -> None:
    print(f"\n== {title}", flush=True)
    from equikpt.machine import usable_cores

    start = time.monotonic()
    # The loader's process has a core of its own. OpenMP's threads wait for one another spinning:
    # where they share cores with others, a step takes many times as long.
    threads = str(max(1, usable_cores() - 1))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    done = subprocess.run([sys.executable, *map(str, command)], env=environment)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"-- {time.monotonic() - start:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    shorter = ["--cfg-options", f"train_cfg.max_epochs={args.epochs}"] if args.epochs else []
    work_dir = Path(args.work_dir)
    picture = work_dir / "predictions.jpg"
    step(
        "sample data: drawn horses with exact labels",
        TOOLS / "make_sample_data.py",
        *("--out", args.data, "--train", args.train, "--val", args.val, "--seed", 0),
    )
    step(
        "training",
        TOOLS / "train.py",
        *(CONFIG, "--data-root", args.data, "--work-dir", work_dir, "--amp", "--resume"),
        *shorter,
    )
    step(
        "test on the validation pictures",
        TOOLS / "test.py",
        *(CONFIG, (work_dir / "last_checkpoint").read_text().strip(), "--split", "val"),
        *("--data-root", args.data, "--work-dir", work_dir / "test"),
        *("--draw", picture, "--report", work_dir / "keypoints.csv", "--overwrite"),
    )
    print(f"\npredictions: {picture}\nkeypoints:   {work_dir / 'keypoints.csv'}")
    return 0


if __name__ == "__main__":
    from equikpt.cli import run

    run(main)
