"""Train a keypoint model from a config or a project folder."""

from equikpt.cli.commands.train import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
