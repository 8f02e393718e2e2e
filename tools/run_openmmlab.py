"""Run a script of MMPose or mmdet, or one of your own, with their rough edges smoothed first.

  python tools/run_openmmlab.py mmpose/tools/misc/browse_dataset.py CONFIG --output-dir shown/
  python tools/run_openmmlab.py mmpose/demo/image_demo.py horse.jpg CONFIG FILE.pth --device cpu
  python tools/run_openmmlab.py mmdet/tools/train.py CONFIG

The scripts are those that the packages ship; all options go to the script.
"""

from __future__ import annotations

import argparse


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("script", metavar="SCRIPT", help="mmpose/…, mmdet/…, or a path")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the script")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.cli.openmmlab import run_script

    run_script(args.script, args.arguments)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
