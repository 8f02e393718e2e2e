"""Download released weights to start a training from, and check them."""

from equikpt.cli.commands.download_checkpoints import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
