"""From nothing to predictions: sample horses, a small model, its AP and a picture of it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
CONFIG = "smoke/rtmpose_m_ap10k"
CHECKPOINT = "last_checkpoint"


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make sample data, train a small model on it, test it and draw predictions. "
        "An interrupted demo goes on where it stopped."
    )
    parser.add_argument("--data", default="data/sample", help="folder for the sample data")
    parser.add_argument("--work-dir", default="work_dirs/demo", help="folder for the run")
    parser.add_argument("--train", type=int, default=600, help="training pictures")
    parser.add_argument("--val", type=int, default=100, help="validation pictures")
    return parser.parse_args(argv)


def step(title: str, *command: object) -> None:
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    done = subprocess.run([sys.executable, *map(str, command)])
    if done.returncode:
        sys.exit(done.returncode)
    print(f"-- {time.monotonic() - start:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
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
    )
    step(
        "test on the validation pictures",
        TOOLS / "test.py",
        *(CONFIG, (work_dir / CHECKPOINT).read_text().strip(), "--split", "val"),
        *("--data-root", args.data, "--work-dir", work_dir / "test"),
        *("--draw", picture, "--report", work_dir / "keypoints.csv", "--overwrite"),
    )
    print(f"\npredictions: {picture}\nkeypoints:   {work_dir / 'keypoints.csv'}")
    return 0


if __name__ == "__main__":
    from equikpt.cli import run

    run(main)
