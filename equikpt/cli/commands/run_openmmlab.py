"""Run a script of MMPose or mmdet, or one of your own, with their rough edges smoothed first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from equikpt.cli.options import argument, parse


@dataclass(frozen=True)
class RunOptions:
    """Run a script of MMPose or mmdet, or one of your own, with their rough edges smoothed first.

      python tools/run_openmmlab.py mmpose/tools/misc/browse_dataset.py CONFIG --output-dir shown/
      python tools/run_openmmlab.py mmpose/demo/image_demo.py horse.jpg CONFIG FILE.pth --device cpu
      python tools/run_openmmlab.py mmdet/tools/train.py CONFIG

    The scripts are those that the packages ship; all options go to the script.
    """

    script: str = argument("mmpose/…, mmdet/…, or a path", metavar="SCRIPT")
    arguments: Sequence[str] = argument("passed on to the script", (), nargs=argparse.REMAINDER)


def main(argv: list[str] | None = None) -> int:
    """Run the script; 0 where it comes to its end."""
    options = parse(RunOptions, argv)
    from equikpt.cli.openmmlab import run_script

    run_script(options.script, options.arguments)
    return 0
