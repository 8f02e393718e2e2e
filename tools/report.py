"""One page on a run: what was trained, how well it does, where it errs, how to reproduce it."""

from equikpt.cli.commands.report import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
