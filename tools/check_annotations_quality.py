"""Look for mistakes in the labels of ruler marks: a summary, a CSV and a sheet of the worst."""

from equikpt.cli.commands.check_annotations_quality import main
from equikpt.cli.entry import run

if __name__ == "__main__":
    run(main)
