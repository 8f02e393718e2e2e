from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option

PLAIN_COLUMNS = 140
"""Width of the tables in a file or a pipe."""
Shown = tuple[str, Callable[[], Any], Callable[[], str], bool]
"""Title, functions that make the curves and the page, and True where an error was diagnosed."""


@dataclass(frozen=True)
class MonitorOptions:
    """Show how a training goes: state, curves and what is wrong with it; or compare several.

    Reads the work dir that MMEngine writes, of a run that goes on, was killed, resumed or is over.
    Exit code 0: nothing wrong; 1: an error was diagnosed, such as a loss that is no number; 2:
    wrong call.
    """

    run: str | None = argument(
        "the work dir of a run, or a project folder", None, nargs="?", metavar="DIR", one_of="runs"
    )
    work_dir: Path | None = option("the same", metavar="DIR", one_of="runs")
    compare: Sequence[Path] = option(
        "work dirs of two or more runs", default=(), metavar="DIR", one_of="runs"
    )
    watch: bool = option(
        "keep the state up to date until the run is over or Ctrl-C; with --png or --html these are "
        "written at the end",
        default=False,
    )
    interval: float = option(
        "seconds between two updates with --watch", default=3.0, type=number(ABOVE_0), metavar="N"
    )
    png: Path | None = option("draw the curves", metavar="out.png")
    html: Path | None = option("write a page with all of it", metavar="out.html")
    overwrite: bool = declare.overwrite()


def main(argv: list[str] | None = None) -> int:
    """Show one run or compare several; 1 where an error was diagnosed."""
    options = declare.parse(MonitorOptions, argv)
    if options.compare and (len(options.compare) < 2 or options.watch):
        raise ValueError("expected two or more work dirs after --compare, without --watch")
    from equikpt.report.html.charts import png_bytes
    from equikpt_runtime.files import refuse_existing, write_bytes, write_text

    for path in filter(None, (options.png, options.html)):
        refuse_existing(path, options.overwrite)
    folder = options.run or options.work_dir
    shown = _monitor(Path(folder), options) if folder else _compare(options.compare)
    title, panels, page, is_wrong = shown
    if options.png is not None:
        write_bytes(options.png, png_bytes(panels(), title))
        print(f"written: {options.png}")
    if options.html is not None:
        write_text(options.html, page())
        print(f"written: {options.html}")
    return int(is_wrong)


def _monitor(work_dir: Path, options: MonitorOptions) -> Shown:
    from rich.console import Console

    from equikpt.report.diagnose import diagnose
    from equikpt.report.html.monitor_page import panels_of_run, run_page
    from equikpt.report.run.run_folder import read_run
    from equikpt.report.run.run_state import state_of
    from equikpt.report.terminal import plain_text, watch

    def read():
        return state_of(read_run(work_dir))

    state = read()
    if options.watch:
        try:
            state = watch(read, Console(), options.interval)
        except KeyboardInterrupt:  # how one leaves
            state = read()
    issues = diagnose(state)
    if not options.watch:
        print(plain_text(state, issues))
    return (
        state.run.name,
        lambda: panels_of_run(state.run, state.metric),
        lambda: run_page(state, issues),
        any(each.severity == "error" for each in issues),
    )


def _compare(folders: Sequence[Path]) -> Shown:
    from rich.console import Console

    from equikpt.report.html.monitor_page import comparison_page, panels_of_runs
    from equikpt.report.run.comparison import common_metric, names_of
    from equikpt.report.run.run_folder import read_run
    from equikpt.report.run.run_state import state_of
    from equikpt.report.terminal import comparison_tables

    states = [state_of(read_run(folder)) for folder in folders]
    runs = [state.run for state in states]
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_COLUMNS)
    for table in comparison_tables(states):
        console.print(table)
    names = names_of(runs)
    return (
        ", ".join(names),
        lambda: panels_of_runs(names, runs, common_metric(runs)),
        lambda: comparison_page(states),
        False,
    )
