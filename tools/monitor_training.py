"""Show how a training goes: state, curves and what is wrong with it; or compare several."""

from equikpt.cli.commands.monitor_training import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
