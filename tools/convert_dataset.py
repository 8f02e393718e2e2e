"""Convert labelled images to COCO JSON to train on, and labels or predictions back."""

from equikpt.cli.commands.convert_dataset import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
