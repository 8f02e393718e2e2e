"""Measure the gait in tables of keypoints over time."""

from equikpt.cli.commands.gait import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
