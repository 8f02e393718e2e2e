"""Show how a training goes: its state, its curves and what is wrong with it; or compare several.

Reads the work dir that MMEngine writes, of a run that goes on, was killed, resumed or is over.
Exit code 0: nothing wrong; 1: an error was diagnosed, such as a loss that is no number; 2: wrong
call.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import SMALLEST, number

PLAIN_COLUMNS = 140
"""Width of the tables in a file or a pipe."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--work-dir", type=Path, metavar="DIR", help="the work dir of a run")
    what.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        action="extend",
        metavar="DIR",
        help="work dirs of two or more runs",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="keep the state up to date until the run is over or Ctrl-C; with --png or --html "
        "these are written at the end",
    )
    parser.add_argument(
        "--interval",
        type=number(SMALLEST),
        default=3.0,
        metavar="SECONDS",
        help="from one look to the next with --watch (default: %(default)g)",
    )
    parser.add_argument("--png", type=Path, metavar="out.png", help="draw the curves")
    parser.add_argument("--html", type=Path, metavar="out.html", help="write a page with all of it")
    parser.add_argument(
        "--force", "--overwrite", action="store_true", help="replace files that exist"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.compare and (len(args.compare) < 2 or args.watch):
        parser.error("expected two or more work dirs after --compare, without --watch")
    from equikpt.core.files import refuse_existing

    for path in filter(None, (args.png, args.html)):
        refuse_existing(path, args.force)
    return _compare(args) if args.compare else _monitor(args)


def _monitor(args: argparse.Namespace) -> int:
    from rich.console import Console

    from equikpt.report.diagnose.diagnoses import diagnose
    from equikpt.report.html.curves import panels_of_run
    from equikpt.report.html.monitor_page import run_page
    from equikpt.report.run.run_folder import read_run
    from equikpt.report.run.run_state import state_of
    from equikpt.report.terminal import plain_text, watch

    def read():
        return state_of(read_run(args.work_dir))

    state = read()
    if args.watch:
        try:
            state = watch(read, Console(), args.interval)
        except KeyboardInterrupt:  # how one leaves
            state = read()
    issues = diagnose(state)
    if not args.watch:
        print(plain_text(state, issues))
    _write(
        args,
        lambda: panels_of_run(state.run, state.metric),
        state.run.name,
        lambda: run_page(state, issues),
    )
    return int(any(each.severity == "error" for each in issues))


def _compare(args: argparse.Namespace) -> int:
    from rich.console import Console

    from equikpt.report.html.curves import panels_of_runs
    from equikpt.report.html.monitor_page import comparison_page
    from equikpt.report.run.comparison import common_metric, names_of
    from equikpt.report.run.run_folder import read_run
    from equikpt.report.run.run_state import state_of
    from equikpt.report.terminal import comparison_tables

    runs = [read_run(folder) for folder in args.compare]
    states = [state_of(run) for run in runs]
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_COLUMNS)
    for table in comparison_tables(states):
        console.print(table)
    names = names_of(runs)
    _write(
        args,
        lambda: panels_of_runs(names, runs, common_metric(runs)),
        ", ".join(names),
        lambda: comparison_page(states),
    )
    return 0


def _write(args: argparse.Namespace, panels, title: str, page) -> None:
    """Write what was asked for; ``panels`` and ``page`` are called only then."""
    from equikpt.core.files import write_bytes, write_text
    from equikpt.report.html.charts import png_bytes

    if args.png is not None:
        write_bytes(args.png, png_bytes(panels(), title))
        print(f"written: {args.png}")
    if args.html is not None:
        write_text(args.html, page())
        print(f"written: {args.html}")


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
