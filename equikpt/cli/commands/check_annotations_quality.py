from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option


@dataclass(frozen=True, kw_only=True)
class QualityOptions(declare.ReadsImages):
    """Look for mistakes in the labels of ruler marks: a summary, a CSV and a sheet of the worst.

    Exit code 0: nothing found; 1: somebody should look; 2: wrong input.
    """

    files: Sequence[Path] = argument(
        "Label Studio's JSON export or a COCO JSON; several, such as training and validation, are "
        "examined as one set, which shows radiographs that are in both"
    )
    img_dir: Path | None = declare.img_dir()
    out: Path | None = option(
        "where suspects.csv and suspects.jpg go (default: work_dirs/quality_FILE)", metavar="DIR"
    )
    largest_z: float = option(
        "robust z of distance and angle from which a radiograph is suspect",
        default=5.0,
        type=number(ABOVE_0),
    )
    overwrite: bool = declare.overwrite("an earlier report")


def main(argv: list[str] | None = None) -> int:
    """Print a summary and write the report; 1 when somebody should look."""
    options = declare.parse(QualityOptions, argv)
    from equikpt.data_tools.verify.ruler import examine, read_labels, summary, write_report
    from equikpt_runtime.files import refuse_existing

    folder = options.out or Path("work_dirs") / f"quality_{options.files[0].stem}"
    refuse_existing(folder / "suspects.csv", options.overwrite)
    tasks = [task for file in options.files for task in read_labels(file)]
    radiographs = examine(tasks, options.img_dir, options.largest_z)
    print("\n".join(summary(radiographs)))
    suspects = [each for each in radiographs if each.issues]
    for path in write_report(suspects, folder):
        print(f"written: {path}")
    return int(bool(suspects))
