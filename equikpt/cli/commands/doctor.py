from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

from equikpt.cli.options import option, parse


@dataclass(frozen=True)
class DoctorOptions:
    """Check the installation and the machine, down to a tiny training.

    Exit code 0 only if training would work.
    """

    json: bool = option("print JSON instead of a table", default=False)


def main(argv: list[str] | None = None) -> int:
    """Print the table of checks; 1 if training would not work."""
    options = parse(DoctorOptions, argv)
    from equikpt.doctor.run import examine, format_table, format_verdict, progress, to_json, works

    findings = list(progress(examine()))
    if options.json:
        print(to_json(findings))
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        print(format_table(findings, width, colour=sys.stdout.isatty()))
        print(format_verdict(findings))
    return 0 if works(findings) else 1
