"""Run a command's ``main``: errors become sentences, exit codes mean something."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from equikpt import __version__
from equikpt.core.errors import causes, is_user_error, sentence
from equikpt.core.stopping import ending_on_signals

BUG = (
    "This is a bug, in equikpt or below it: please report it, with the traceback above and the "
    "command, to the maintainers of equikpt ({system})."
)


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a tool's ``main`` and exit: 0 done, 1 found something wrong, 2 wrong input, 130 stopped.

    An error that equikpt raised on purpose, or that the system reports of a place, is printed as
    one line. Any other error is a bug, here or below, and keeps its traceback, with a line that
    says where to report it. ``EQUIKPT_TRACEBACK=1`` shows the traceback of both.
    """
    try:
        with ending_on_signals():
            code = main(None)
        sys.stdout.flush()  # a reader that left is met here, not in the interpreter's shutdown
        sys.exit(code)
    except BrokenPipeError:  # `tool | head`: the reader left, nothing is wrong
        _drop_output()
        sys.exit(0)
    except Exception as error:
        mistake = next((link for link in causes(error) if is_user_error(link)), None)
        if mistake is None or os.environ.get("EQUIKPT_TRACEBACK"):
            traceback.print_exc()
        if mistake is None:
            print(BUG.format(system=system()), file=sys.stderr)
            sys.exit(1)
        if not os.environ.get("EQUIKPT_TRACEBACK"):
            print(f"error: {sentence(mistake)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # the output is a file on a full disk
            _drop_output()
        sys.exit(2)


def _drop_output() -> None:
    """Let the interpreter's shutdown find nothing that it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def whole(least: int = 0, most: float = math.inf) -> Callable[[str], int]:
    """Make a ``type`` of argparse: a whole number within bounds."""
    return _bounded(int, "a whole number", least, most)


def number(least: float = -math.inf, most: float = math.inf) -> Callable[[str], float]:
    """Make a ``type`` of argparse: a finite number within bounds."""
    return _bounded(float, "a number", least, most)


MAX_SEED = 2**32 - 1
"""Largest seed of numpy's generators."""

SMALLEST = sys.float_info.min
"""As the least value of :func:`number`: above 0."""


def _bounded(kind: Callable[[str], Any], name: str, least: float, most: float) -> Callable:
    bounds = "above 0" if least == SMALLEST else f"of at least {least}"
    bounds = f"from {least} to {most}" if most < math.inf else bounds
    wanted = f"{name} {bounds}" if least > -math.inf else name

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
        return value

    return parse


def system() -> str:
    """Versions that a report of a bug needs."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"equikpt {__version__}, Python {python}, {platform.platform(terse=True)}"
