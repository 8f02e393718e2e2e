"""Check how often pointing sequences say done, and how much of the loss says it."""

from equikpt.cli.commands.check_done_balance import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
