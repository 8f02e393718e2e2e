"""Look for mistakes in COCO keypoint files and their images, before a training learns them."""

from equikpt.cli.commands.verify_dataset import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
