"""Choose images, or frames of videos, whose labels would teach a trained model most."""

from equikpt.cli.commands.suggest import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
