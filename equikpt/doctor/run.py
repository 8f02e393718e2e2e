"""Run the checks so that none can end the others, and show what they found."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

from equikpt.doctor.checks import CHECKS, FAIL, OK, ROOT, WARN

MARK = "equikpt-doctor "
"""Starts the lines that the checking process means; packages print between them as they like."""

START = """
import sys
sys.path[:] = [sys.argv[1], *filter(None, sys.path)]
from equikpt.doctor.run import answer
answer(sys.argv[2:])
"""
"""The checking process. It finds this equikpt, installed or not, and drops the empty entry: a file
in the current folder may bear the name of a package."""

LIMIT_S = 300
"""A check that takes longer hangs (a GPU driver may)."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One row: what was looked at, how it is, what was found, and the command that would fix it."""

    name: str
    status: str
    found: str
    fix: str = ""


def examine(names: Sequence[str] = tuple(CHECKS)) -> Iterator[Finding]:
    """Run checks in a process of their own, row by row.

    A package that takes the interpreter down is one failed row; a new process goes on with the
    next check.
    """
    left = list(names)
    while left:
        for finding in _examine_in_process(tuple(left)):
            left.remove(finding.name)
            yield finding


def progress(findings: Iterable[Finding]) -> Iterable[Finding]:
    """The same findings, with a bar on a terminal where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return findings
    return tqdm(findings, "checking", len(CHECKS), leave=False, disable=None)


def works(findings: Sequence[Finding]) -> bool:
    """Tell if training would work: no check failed."""
    return all(finding.status != FAIL for finding in findings)


def _examine_in_process(names: Sequence[str]) -> Iterator[Finding]:
    """Findings of one process: all of ``names``, or those up to the one that ended it."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(ROOT), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    seen = 0
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        for line in process.stdout or ():
            if line.startswith(MARK):
                yield Finding(**json.loads(line[len(MARK) :]))
                seen += 1
        code = process.wait()
    if seen < len(names):
        yield Finding(
            names[seen], FAIL, f"ended Python itself ({_ending(code)})", CHECKS[names[seen]][1]
        )


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"no answer in {LIMIT_S} s" if name == "SIGALRM" else name


def _check(name: str) -> Finding:
    """One check; whatever goes wrong in it is its finding."""
    check, fix = CHECKS[name]
    _end_process_in(LIMIT_S)
    try:
        return Finding(name, *check())
    except KeyboardInterrupt:
        raise
    except ImportError as error:
        what = f"missing: {error}" if isinstance(error, ModuleNotFoundError) else str(error)
        return Finding(name, FAIL, " ".join(what.split()), fix)
    except BaseException as error:  # SystemExit too: a row, not the end
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(name, FAIL, what[:300], fix)
    finally:
        _end_process_in(0)


def _end_process_in(seconds: int) -> None:
    """Set a limit that holds in C code too, or take it back with 0."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def format_table(findings: Sequence[Finding], width: int, colour: bool) -> str:
    """The rows as a table of at most ``width`` columns; plain text where rich is missing."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return _format_plain(findings)
    colours = {OK: "green", WARN: "yellow", FAIL: "red"}
    table = Table(show_lines=False)
    for title in ("check", "", "found", "to fix"):
        table.add_column(title, overflow="fold")
    for row in findings:
        style = colours[row.status]
        table.add_row(row.name, f"[{style}]{row.status}[/]", _plain(row.found), _plain(row.fix))
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    console.print(table)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def _plain(text: str) -> str:
    """Text that rich does not take for its markup."""
    from rich.markup import escape

    return escape(text)


def _format_plain(findings: Sequence[Finding]) -> str:
    wide = max((len(row.name) for row in findings), default=0)
    lines = []
    for row in findings:
        lines.append(f"{row.name:<{wide}}  {row.status:<4}  {row.found}")
        if row.fix:
            lines.append(f"{'':<{wide}}        to fix: {row.fix}")
    return "\n".join(lines)


def format_verdict(findings: Sequence[Finding]) -> str:
    """The last line: whether training would work, and if not what to do first."""
    if works(findings):
        return "Training works here."
    first = next(row for row in findings if row.status == FAIL)
    return f"Training would not work here. Begin with {first.name}: {first.fix}"


def to_json(findings: Sequence[Finding]) -> str:
    """The same for programs."""
    rows = [dataclasses.asdict(finding) for finding in findings]
    return json.dumps({"training_works": works(findings), "checks": rows}, indent=2)


def answer(names: Sequence[str]) -> None:
    """Run checks in the checking process: a marked line for each finding, on standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what packages print goes with the errors
    for name in names:
        answers.write(MARK + json.dumps(dataclasses.asdict(_check(name))) + "\n")
        answers.flush()
