"""Find the scale of radiographs: mm per px with a confidence, or the reason why there is none."""

from equikpt.cli.commands.calibrate import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
