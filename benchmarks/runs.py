"""Trainings and tests in processes of their own, for benchmarks that compare configs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config
from repository import REPO

from equikpt_runtime.machine import usable_cores


def threads_each(jobs: int) -> int:
    """Threads that each of ``jobs`` processes may have, of OMP_NUM_THREADS or of all cores."""
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or usable_cores()) // jobs)


def run_tool(name: str, *arguments: str | Path, threads: int, log: Path) -> None:
    """Run ``tools/NAME``, which finds the modules beside this one; its output goes to ``log``.

    Raises:
        RuntimeError: The tool failed; names the log.
    """
    beside = os.pathsep.join(filter(None, [str(REPO / "benchmarks"), os.environ.get("PYTHONPATH")]))
    with log.open("w") as out:
        done = subprocess.run(
            [sys.executable, str(REPO / "tools" / name), *map(str, arguments)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": beside},
        )
    if done.returncode:
        raise RuntimeError(f"{name} ended with exit code {done.returncode}; see {log}")


def train(cfg: Config, folder: Path, threads: int, *arguments: str) -> list[dict]:
    """Train ``cfg`` in ``folder/run``; returns what was logged, a dict a row."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(folder / "config.py")
    run_tool(
        "train.py", folder / "config.py", "--work-dir", folder / "run", "--overwrite", *arguments,
        threads=threads, log=folder / "train.log",
    )  # fmt: skip
    newest = max((folder / "run").glob("*/vis_data/scalars.json"), key=os.path.getmtime)
    return [json.loads(line) for line in newest.read_text().splitlines()]
