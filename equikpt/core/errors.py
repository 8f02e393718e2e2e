"""Errors that are the user's, and errors that are bugs."""

from __future__ import annotations

import dis
import errno
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from equikpt.core.files import is_within

PACKAGE = Path(__file__).resolve().parents[1]

OURS = ("__main__", "equikpt", "equikpt_runtime", "projects")
"""Top of the names of modules whose ``raise`` is meant for the user; tools run as ``__main__``."""

USER_ERRORS = (ValueError, TypeError, ImportError, NotImplementedError, OSError)
"""Types that a user's mistake raises in this package; see :func:`is_user_error`."""

MAX_SENTENCE = 2000
"""Characters of a sentence that is printed whole."""

_ANOTHER = "name another place"
_DENIED = f"this user may not; change its permissions or {_ANOTHER}"
ADVICE = {
    errno.ENOENT: "there is no such file or folder; correct the name",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: f"its disk is read-only; {_ANOTHER}",
    errno.ENOSPC: "the disk is full; free some space or name another disk",
    errno.EDQUOT: "the quota of this user is used up; free some space or name another disk",
    errno.EFBIG: "the file is larger than the system allows; name another disk or raise the limit",
    errno.EIO: "the disk does not answer as it should; name another disk",
    errno.ENOTDIR: f"a file stands where a folder should be; {_ANOTHER}",
    errno.EEXIST: f"something stands there already; {_ANOTHER}",
    errno.EISDIR: f"a folder stands where a file should be; {_ANOTHER}",
    errno.ENAMETOOLONG: "the name is longer than the system allows; give a shorter one",
    errno.ELOOP: "its links lead in a circle; correct them",
    errno.EBUSY: f"another program uses it; end that, or {_ANOTHER}",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}
"""Errors that the system may report of a file, a folder or a disk, and what to do."""


def is_user_error(error: BaseException) -> bool:
    """Tell whether an error is a mistake of the user, or a state of the user's files or disk.

    That is one that a ``raise`` of equikpt or of one of its tools raised; one of a type of equikpt,
    which torch raises anew where a loader's worker met it; and, wherever it was raised, one that
    the system reports of a path that is no part of the installation. Errors that Python itself
    raises in a line of equikpt, such as ``unhashable type: 'list'``, are bugs.
    """
    is_ours = type(error).__module__.split(".")[0] in OURS[1:3] or _is_raised_here(error)
    return (isinstance(error, USER_ERRORS) and is_ours) or _is_of_the_system(error)


def _is_of_the_system(error: BaseException) -> bool:
    """Tell if the system reports that a file, a folder or a disk cannot be used.

    ``ENOENT`` counts where the command line named the path: a file that is missing elsewhere may
    as well have been deleted, or never written, by a bug.
    """
    if not isinstance(error, OSError) or error.errno not in ADVICE:
        return False
    if not isinstance(error.filename, str | bytes | os.PathLike):  # of an open file, or none
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
    name = os.path.abspath(os.fsdecode(error.filename))
    paths = sysconfig.get_paths()
    if any(is_within(name, part) for part in (paths["stdlib"], paths["purelib"], PACKAGE)):
        return False
    words = {text for word in sys.argv[1:] for text in (word, word.partition("=")[2]) if text}
    given = (word for word in words if not word.startswith("-"))
    return error.errno != errno.ENOENT or any(is_within(name, word) for word in given)


def _is_raised_here(error: BaseException) -> bool:
    """Tell whether a ``raise`` of :data:`OURS` raised an error, or an import of theirs failed."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").split(".")[0] not in OURS:
        return False
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return isinstance(error, ImportError) or instruction == dis.opmap["RAISE_VARARGS"]


def sentence(error: BaseException) -> str:
    """Return the message of an error as one line."""
    if isinstance(error, OSError) and error.errno in ADVICE and error.strerror:
        if error.filename is None:
            return f"{error.strerror}: {ADVICE[error.errno]}"
        name = os.fsdecode(error.filename) if not isinstance(error.filename, int) else "a file"
        return f"{name} cannot be used ({error.strerror}): {ADVICE[error.errno]}"
    text = " ".join(str(error).split())
    if len(text) <= MAX_SENTENCE:
        return text
    half = MAX_SENTENCE // 2  # a value of the file stands in it; what to do comes last
    return f"{text[:half]} … {text[-half:]}"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it was raised from; MMEngine wraps what a constructor raises."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
