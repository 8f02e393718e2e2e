"""Follow the animals of videos and write tables that can be measured."""

from equikpt.cli.commands.track import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
