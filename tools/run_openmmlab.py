"""Run a script of MMPose or mmdet, or one of your own, with their rough edges smoothed first."""

from equikpt.cli.commands.run_openmmlab import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
