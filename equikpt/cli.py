"""What every tool does around its ``main``: errors become sentences, exit codes mean something."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import NoReturn

from equikpt.stopping import ending_on_signals

MAX_MEGAPIXELS_VARIABLE = "EQUIKPT_MAX_MEGAPIXELS"
"""Environment variable with the size of the largest image that is read."""

USER_ERRORS = (ValueError, TypeError, ImportError, NotImplementedError, OSError)
"""What a user's mistake raises in this package; see :func:`is_user_error`."""


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a tool's ``main`` and exit: 0 done, 1 found something wrong, 2 wrong input, 130 stopped.

    An error that equikpt raised on purpose is printed as one line. Any other error is a bug, here
    or below, and keeps its traceback. ``EQUIKPT_TRACEBACK=1`` shows the traceback of both.
    """
    try:
        with ending_on_signals():
            code = main(None)
        sys.stdout.flush()  # a reader that left is met here, not in the interpreter's shutdown
        sys.exit(code)
    except BrokenPipeError:  # `tool | head`: the reader left, nothing is wrong
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except USER_ERRORS as error:
        mistake = next((link for link in causes(error) if is_user_error(link)), None)
        if mistake is None or os.environ.get("EQUIKPT_TRACEBACK"):
            traceback.print_exc()
            sys.exit(1 if mistake is None else 2)
        print(f"error: {sentence(mistake)}", file=sys.stderr)
        sys.exit(2)


def add_max_megapixels(parser: argparse.ArgumentParser) -> None:
    """Give a tool that reads images ``--max-megapixels``, which its workers inherit."""
    parser.add_argument(
        "--max-megapixels",
        action=_SetVariable,
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"largest image that is read (default: 250; the same as {MAX_MEGAPIXELS_VARIABLE}=N)",
    )


class _SetVariable(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None) -> None:
        try:
            valid = float(str(values)) > 0
        except ValueError:
            valid = False
        if not valid:
            parser.error(f"expected {option_string} to be a number above 0, got {values!r}")
        os.environ[MAX_MEGAPIXELS_VARIABLE] = str(values)


def is_user_error(error: BaseException) -> bool:
    """Whether the line that raised ``error`` stands in equikpt or in one of its tools."""
    if not isinstance(error, USER_ERRORS):
        return False
    frame = error.__traceback__
    if frame is None:
        return False
    while frame.tb_next is not None:
        frame = frame.tb_next
    module = frame.tb_frame.f_globals.get("__name__", "")
    return module == "__main__" or module.split(".")[0] == "equikpt"


def sentence(error: BaseException) -> str:
    """The message of an error as one line."""
    return " ".join(str(error).split())


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from; MMEngine wraps what a constructor raises."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
