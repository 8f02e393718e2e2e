"""Divide labelled images into train, val and test, or into folds."""

from equikpt.cli.commands.split_dataset import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
