"""Look at this machine: would training work, and if not, what would fix it?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# the doctor must run where nothing is installed yet, equikpt included
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check the installation and the machine, down to a tiny training."
        " Exit code 0 only if training would work."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)

    import shutil

    from equikpt.doctor.run import examine, format_table, format_verdict, progress, to_json, works

    findings = list(progress(examine()))
    if args.json:
        print(to_json(findings))
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        print(format_table(findings, width, colour=sys.stdout.isatty()))
        print(format_verdict(findings))
    return 0 if works(findings) else 1


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
