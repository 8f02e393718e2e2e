"""Draw what a trained model sees: in an image, many images, or a video."""

from equikpt.cli.commands.visualize import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
