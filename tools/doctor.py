"""Look at this machine: would training work, and if not, what would fix it?"""

import sys
from pathlib import Path

# the doctor must run where nothing is installed yet, equikpt included
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "runtime")]


def main(argv: list[str] | None = None) -> int:
    from equikpt.cli.commands import doctor

    return doctor.main(argv)


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
