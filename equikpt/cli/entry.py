"""Run a command's ``main``: errors become sentences, exit codes mean something."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from equikpt import __version__
from equikpt.core.errors import causes, is_user_error, sentence
from equikpt.core.stopping import ending_on_signals

BUG = (
    "This is a bug, in equikpt or below it: please report it, with the traceback above and the "
    "command, to the maintainers of equikpt (equikpt {}, Python {}, {})."
)


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a tool's ``main`` and exit: 0 done, 1 found something wrong, 2 wrong input, 130 stopped.

    An error that equikpt raised on purpose, or that the system reports of a path, is printed as
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
        else:
            print(f"error: {sentence(mistake)}", file=sys.stderr)
        if mistake is None:
            system = (__version__, platform.python_version(), platform.platform(terse=True))
            print(BUG.format(*system), file=sys.stderr)
            sys.exit(1)
        try:
            sys.stdout.flush()
        except OSError:  # the output is a file on a full disk
            _drop_output()
        sys.exit(2)


def _drop_output() -> None:
    """Let the interpreter's shutdown find nothing that it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
