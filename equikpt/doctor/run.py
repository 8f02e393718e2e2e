"""Run the checks so that none can end the others, and show what they found."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

from equikpt.core.issues import Issue
from equikpt.doctor.checks import CHECKS, ROOT

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

STATUS = {"info": "ok", "warning": "warn", "error": "fail"}
"""Words of the table by severity."""
COLOURS = {"info": "green", "warning": "yellow", "error": "red"}


def examine(names: Sequence[str] = tuple(CHECKS)) -> Iterator[Issue]:
    """Run checks in a process of their own, row by row; the code of an issue names its check.

    A package that takes the interpreter down is one failed row; a new process goes on with the
    next check.
    """
    left = list(names)
    while left:
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(ROOT), *left],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process, contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            for line in process.stdout or ():
                if line.startswith(MARK):
                    left.pop(0)
                    yield Issue(**json.loads(line[len(MARK) :]))
            code = process.wait()
        if left:
            ending = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
            ending = f"no answer in {LIMIT_S} s" if ending == "SIGALRM" else ending
            name = left.pop(0)
            yield Issue(name, f"ended Python itself ({ending})", CHECKS[name][1], "error")


def progress(issues: Iterable[Issue]) -> Iterable[Issue]:
    """The same issues, with a bar on a terminal where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return issues
    return tqdm(issues, "checking", len(CHECKS), leave=False, disable=None)


def works(issues: Sequence[Issue]) -> bool:
    """Tell if training would work: no check failed."""
    return all(issue.severity != "error" for issue in issues)


def check(name: str) -> Issue:
    """Run one check here; whatever goes wrong in it is its issue."""
    run, fix = CHECKS[name]
    _end_process_in(LIMIT_S)
    try:
        found = run()
        if isinstance(found, Issue):
            return Issue(name, found.message, found.fix, found.severity)
        return Issue(name, found, severity="info")
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        message = f"missing: {error}"
    except ImportError as error:
        message = str(error)
    except BaseException as error:  # SystemExit too: a row, not the end
        message = f"{type(error).__name__}: {error}"[:300]
    finally:
        _end_process_in(0)
    return Issue(name, " ".join(message.split()), fix, "error")


def _end_process_in(seconds: int) -> None:
    """Set a limit that holds in C code too, or take it back with 0."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def format_table(issues: Sequence[Issue], width: int, colour: bool) -> str:
    """The rows as a table of at most ``width`` columns; plain text where rich is missing."""
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table
    except ImportError:
        wide = max((len(issue.code) for issue in issues), default=0)
        lines = []
        for issue in issues:
            lines.append(f"{issue.code:<{wide}}  {STATUS[issue.severity]:<4}  {issue.message}")
            lines += [f"{'':<{wide}}        to fix: {issue.fix}"] if issue.fix else []
        return "\n".join(lines)
    table = Table(show_lines=False)
    for title in ("check", "", "found", "to fix"):
        table.add_column(title, overflow="fold")
    for issue in issues:
        status = f"[{COLOURS[issue.severity]}]{STATUS[issue.severity]}[/]"
        table.add_row(issue.code, status, escape(issue.message), escape(issue.fix))
    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    console.print(table)
    return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def format_verdict(issues: Sequence[Issue]) -> str:
    """The last line: whether training would work, and if not what to do first."""
    if works(issues):
        return "Training works here."
    first = next(issue for issue in issues if issue.severity == "error")
    return f"Training would not work here. Begin with {first.code}: {first.fix}"


def to_json(issues: Sequence[Issue]) -> str:
    """The same for programs."""
    rows = [
        dict(name=each.code, status=STATUS[each.severity], found=each.message, fix=each.fix)
        for each in issues
    ]
    return json.dumps({"training_works": works(issues), "checks": rows}, indent=2)


def answer(names: Sequence[str]) -> None:
    """Run checks in the checking process: a marked line for each issue, on standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what packages print goes with the errors
    for name in names:
        found = check(name)
        fields = {key: getattr(found, key) for key in ("code", "message", "fix", "severity")}
        answers.write(MARK + json.dumps(fields) + "\n")
        answers.flush()
