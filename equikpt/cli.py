"""What every tool does around its ``main``: errors become sentences, exit codes mean something."""

from __future__ import annotations

import argparse
import dis
import errno
import math
import os
import platform
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from equikpt import __version__
from equikpt.stopping import ending_on_signals

MAX_MEGAPIXELS_VARIABLE = "EQUIKPT_MAX_MEGAPIXELS"
"""Environment variable with the size of the largest image that is read."""

RAISE = dis.opmap["RAISE_VARARGS"]
"""Instruction of a ``raise``."""

USER_ERRORS = (ValueError, TypeError, ImportError, NotImplementedError, OSError)
"""What a user's mistake raises in this package; see :func:`is_user_error`."""

PLACES = {
    errno.ENOENT: "there is no such file or folder; correct the name",
    errno.EACCES: "this user may not; change its permissions or name another place",
    errno.EPERM: "this user may not; change its permissions or name another place",
    errno.EROFS: "its disk is read-only; name another place",
    errno.ENOSPC: "the disk is full; free some space or name another disk",
    errno.EDQUOT: "the quota of this user is used up; free some space or name another disk",
    errno.EFBIG: "the file is larger than the system allows; name another disk or raise the limit",
    errno.EIO: "the disk does not answer as it should; name another disk",
    errno.ENOTDIR: "a file stands where a folder should be; name another place",
    errno.EEXIST: "something stands there already; name another place",
    errno.EISDIR: "a folder stands where a file should be; name another place",
    errno.ENAMETOOLONG: "the name is longer than the system allows; give a shorter one",
    errno.ELOOP: "its links lead in a circle; correct them",
    errno.EBUSY: "another program uses it; end that, or name another place",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}
"""Errors that the system may report of a file, a folder or a disk, and what to do."""

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


def system() -> str:
    """Versions that a report of a bug needs."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"equikpt {__version__}, Python {python}, {platform.platform(terse=True)}"


def is_user_error(error: BaseException) -> bool:
    """Tell whether an error is a mistake of the user, or a state of the user's files or disk.

    That is one that a ``raise`` of equikpt or of one of its tools raised; one of a type of equikpt,
    which torch raises anew where a loader's worker met it; and, wherever it was raised, one that
    the system reports of a place that is no part of the installation. What Python itself raises in
    a line of equikpt, such as ``unhashable type: 'list'``, is a bug.
    """
    return is_of_a_place(error) or (
        isinstance(error, USER_ERRORS)
        and (_is_raised_here(error) or type(error).__module__.split(".")[0] == "equikpt")
    )


def is_of_a_place(error: BaseException) -> bool:
    """Whether the system reports that a file, a folder or a disk cannot be used.

    ``ENOENT`` counts where the command line named the place: a file that is missing elsewhere may
    as well have been deleted, or never written, by a bug.
    """
    if not isinstance(error, OSError) or error.errno not in PLACES:
        return False
    if not isinstance(error.filename, str | bytes | os.PathLike):  # of an open file, or none
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    name = os.path.abspath(os.fsdecode(error.filename))
    paths = sysconfig.get_paths()
    installed = (paths["stdlib"], paths["purelib"], os.path.dirname(os.path.abspath(__file__)))
    if any(_is_within(name, folder) for folder in installed):
        return False
    return error.errno != errno.ENOENT or any(_is_within(name, given) for given in _given_places())


def _given_places() -> Iterator[str]:
    for word in sys.argv[1:]:
        for text in {word, word.partition("=")[2]} - {""}:
            if not text.startswith("-"):
                yield os.path.abspath(text)


def _is_within(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder.rstrip(os.sep) + os.sep)


def _is_raised_here(error: BaseException) -> bool:
    """Whether a ``raise`` of equikpt or a tool raised an error, or an import of theirs failed."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    if frame.f_globals.get("__name__", "").split(".")[0] not in ("__main__", "equikpt"):
        return False
    return isinstance(error, ImportError) or frame.f_code.co_code[trace.tb_lasti] == RAISE


def sentence(error: BaseException) -> str:
    """The message of an error as one line."""
    if isinstance(error, OSError) and error.errno in PLACES and error.strerror:
        if error.filename is None:
            return f"{error.strerror}: {PLACES[error.errno]}"
        name = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "a file"
        return f"{name} cannot be used ({error.strerror}): {PLACES[error.errno]}"
    return " ".join(str(error).split())


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from; MMEngine wraps what a constructor raises."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
