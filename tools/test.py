"""Test a trained model: AP, PCK and error in px."""

from equikpt.cli.commands.test import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
