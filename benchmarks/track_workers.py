r"""Many short videos tracked by several processes, of which one is killed: nothing lost or doubled.

    python benchmarks/gait_images.py films FILMS --trials 1
    python benchmarks/track_workers.py MODEL.onnx FILMS/trot_follows_2000.avi --out DIR

Cuts a film into short clips, tracks them all by ``equikpt track --workers``, kills one of its
workers by SIGKILL once some clips are done, and compares every table with that of a run in one
process. Then the same command is given again, and a part of the tables is removed and made anew by
``--shard``, as the tasks of a Slurm array would.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import psutil
from tqdm import tqdm

from equikpt_runtime.clips import Clip, ClipWriter


def write_clips(film: Path, folder: Path, count: int, frames: int) -> list[Path]:
    """Cut clips out of a film, at places and of a brightness of their own."""
    clip = Clip.open(film)
    images = [cv2.resize(frame.pixels, None, fx=0.5, fy=0.5) for frame in clip.frames()]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"clip_{number:03d}.avi" for number in range(count)]
    for path in paths:
        start, gain = int(rng.integers(len(images) - frames)), float(rng.uniform(0.7, 1.2))
        with ClipWriter(path, clip.fps, images[0].shape[1::-1], overwrite=True) as writer:
            for image in images[start : start + frames]:
                writer.write(cv2.convertScaleAbs(image, alpha=gain))
    return paths


def track(model: Path, videos: list[Path], out: Path, *more: str) -> subprocess.Popen:
    """Start ``equikpt track``."""
    command = [sys.executable, "-m", "equikpt", "track", *map(str, videos), "--model", str(model)]
    command += ["--threads", "1", "--format", "parquet", "--out", str(out), *more]
    log = (out.parent / f"{out.name}.log").open("a")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def finish(run: subprocess.Popen) -> None:
    """Wait for a run that must end well."""
    if run.wait():
        raise RuntimeError(f"expected exit code 0, got {run.returncode}; see the logs under --out")


def kill_a_worker(run: subprocess.Popen, out: Path, done: int) -> int:
    """Kill one of a run's workers when ``done`` clips are; its process number."""
    while run.poll() is None:
        if len([*out.glob("clip_*.json")]) >= done:
            children = psutil.Process(run.pid).children(recursive=True)
            busy = max(children, key=lambda child: sum(child.cpu_times()[:2]))
            busy.send_signal(signal.SIGKILL)
            return busy.pid
        time.sleep(0.05)
    raise RuntimeError(f"the run ended with {run.returncode} before {done} clips were done")


def states(out: Path) -> dict[str, str]:
    """Tables (csv) by name, as text."""
    return {path.stem: path.read_text() for path in sorted(out.glob("clip_*.csv"))}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("film", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder that is not there yet")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True)
    videos = write_clips(args.film, args.out / "clips", args.clips, args.frames)
    alone, spread = args.out / "alone", args.out / "spread"
    began = time.monotonic()
    finish(track(args.model, videos, alone))
    print(f"one process: {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    run = track(args.model, videos, spread, "--workers", str(args.workers))
    killed = kill_a_worker(run, spread, args.clips // 4)
    code = run.wait()
    print(
        f"{args.workers} workers, one killed (process {killed}): {time.monotonic() - began:.0f} s, "
        f"exit code {code}"
    )
    report("after the kill", alone, spread)
    before = {path: path.stat().st_mtime_ns for path in spread.rglob("*") if path.is_file()}
    finish(track(args.model, videos, spread, "--workers", str(args.workers)))
    again = {path: path.stat().st_mtime_ns for path in spread.rglob("*") if path.is_file()}
    print(f"given again: {sum(before[p] != again.get(p) for p in before)} files written")
    for path in [*spread.rglob("clip_0*")][::2]:
        if path.is_file():
            path.unlink()
    print(f"{args.clips - len(states(spread))} tables removed")
    for part in tqdm(range(1, 5), unit="shard"):
        finish(track(args.model, videos, spread, "--shard", f"{part}/4", "--overwrite"))
    report("made anew by 4 shards", alone, spread)
    return 0


def report(what: str, alone: Path, spread: Path) -> None:
    """Print what is missing, differs or stands twice."""
    wanted, found = states(alone), states(spread)
    differ = [name for name in wanted if name in found and found[name] != wanted[name]]
    rows = pd.read_parquet(spread / "parquet")
    one = pd.read_parquet(alone / "parquet")
    left = [path.name for path in spread.iterdir() if path.name.startswith(".")]
    stated = [json.loads(path.read_text())["video"] for path in spread.glob("clip_*.json")]
    print(
        f"{what}: {len(found)} of {len(wanted)} tables, {len(differ)} differ, "
        f"{len(stated) - len(set(stated))} doubled, {len(left)} left-overs; "
        f"{len(rows)} rows of Parquet, {len(one)} in one process"
    )


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
