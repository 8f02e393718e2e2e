"""Draw what a config's pipeline makes of its data: points and augmentation, to look at."""

from equikpt.cli.commands.browse_dataset import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
