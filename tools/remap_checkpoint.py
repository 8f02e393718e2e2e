"""Fit a checkpoint to a model of other keypoints: a file for `load_from`."""

from equikpt.cli.commands.remap_checkpoint import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
