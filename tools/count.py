"""Count the things in images by pointing at one after another."""

from equikpt.cli.commands.count import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
