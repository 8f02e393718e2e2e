"""Estimate the sigmas of AP from images that were labelled twice, or from a model's errors."""

from equikpt.cli.commands.estimate_sigmas import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
