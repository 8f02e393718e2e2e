"""Make a project from an export of a labelling tool: labels, keypoint set and config."""

from equikpt.cli.commands.init import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
