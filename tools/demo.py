"""From nothing to predictions: sample horses, a small model, its AP and an image of it."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli.options import option, parse, whole

TOOLS = Path(__file__).resolve().parent
CONFIG = "smoke/rtmpose_m_ap10k"
BATCH_SIZE = 16


@dataclass(frozen=True)
class DemoOptions:
    """Make sample data, train a small model on it, test it and draw predictions.

    An interrupted demo goes on where it stopped.
    """

    data: str = option("folder for the sample data", default="data/sample")
    work_dir: str = option("folder for the run", default="work_dirs/demo")
    train: int = option("training images", default=1000, type=whole(1))
    val: int = option("validation images", default=100, type=whole(1))
    epochs: int | None = option("epochs (default: the config's)", type=whole(1))


def step(title: str, *command: object) -> None:
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    # One thread a process: OpenMP's threads wait for one another spinning, and where they share
    # cores with other processes a step takes many times as long.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    done = subprocess.run([sys.executable, *map(str, command)], env=environment)
    if done.returncode:
        sys.exit(done.returncode)
    print(f"-- {time.monotonic() - start:.0f} s", flush=True)


def split_machine() -> tuple[int, int]:
    """Training processes, and loader workers of each.

    A small network keeps two cores busier as two processes than as two threads; where that
    leaves no core for workers, each process loads its own images.
    """
    import torch

    from equikpt_runtime.machine import usable_cores

    processes = 1 if torch.cuda.is_available() else min(2, usable_cores())
    return processes, int(usable_cores() > processes)


def main(argv: list[str] | None = None) -> int:
    chosen = parse(DemoOptions, argv)
    count, workers = split_machine()
    options = [f"train_dataloader.batch_size={BATCH_SIZE // count}"]
    options += [f"train_dataloader.num_workers={workers}"]
    options += [f"train_cfg.max_epochs={chosen.epochs}"] if chosen.epochs else []
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count]
    work_dir = Path(chosen.work_dir)
    image = work_dir / "predictions.jpg"
    step(
        "sample data: drawn horses with exact labels",
        TOOLS / "make_sample_data.py",
        *("--out", chosen.data, "--train", chosen.train, "--val", chosen.val, "--seed", 0),
    )
    step(
        "training",
        *(launch if count > 1 else []),
        *(TOOLS / "train.py", CONFIG, "--data-root", chosen.data, "--work-dir", work_dir),
        *("--amp", "--resume", *(["--launcher", "pytorch"] if count > 1 else [])),
        *("--cfg-options", *options),
    )
    step(
        "test on the validation images",
        TOOLS / "test.py",
        *(CONFIG, work_dir / "last.pth", "--split", "val"),
        *("--data-root", chosen.data, "--work-dir", work_dir / "test"),
        *("--draw", image, "--report", work_dir / "keypoints.csv", "--overwrite"),
    )
    print(f"\npredictions: {image}\nkeypoints:   {work_dir / 'keypoints.csv'}")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
