"""Show which stages of a config's model train, from which epoch on, and at which rates."""

from equikpt.cli.commands.param_report import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
