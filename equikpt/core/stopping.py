"""End a tool by Ctrl-C or SIGTERM at any moment, with a sentence that says how to go on.

A signal becomes ``KeyboardInterrupt`` or ``SystemExit`` in whatever line runs, and libraries turn
these into other errors (MMEngine's bare ``except`` around yapf: a ``SyntaxError``; a loader whose
workers were stopped by the same Ctrl-C: a ``RuntimeError``) or swallow them (in a ``__del__``). So
the signal is remembered, and decides about the end whatever comes out.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

GRACE_S = 10.0
"""Seconds after a signal until a process that gave advice ends by force."""

_owner = 0
_received: int | None = None
_is_said = False
_advice = ""


def advise(text: str) -> None:
    """Set how to go on after a stop, as the end of a sentence.

    For work that a stop at any moment leaves whole: it ends without clean-up, and by force where
    the signal was swallowed, after :data:`GRACE_S`.
    """
    global _advice
    _advice = text


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Leave the block by ``SystemExit`` with 130 or 143 once a signal came, and say so in a line.

    A block that deals with ``KeyboardInterrupt`` itself and ends is left as it is.
    """
    global _owner
    _owner = os.getpid()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in `nohup` and background jobs
            signal.signal(number, _stop)
    try:
        yield
    except BaseException:
        if _received is None:
            raise
        if _advice:
            _end_by_force()
        _say(_received)
        raise SystemExit(128 + _received) from None


def _stop(number: int, frame: FrameType | None) -> None:
    global _received
    if os.getpid() == _owner:  # loader workers are forks: the main process ends them
        if _received is not None:  # asked for twice
            _end_by_force()
        _received = number
        if _advice:
            threading.Thread(target=_end_by_force, args=(GRACE_S,), daemon=True).start()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _say(number: int) -> None:
    global _is_said
    if not _is_said and os.environ.get("RANK", "0") == "0":
        source = "the keyboard" if number == signal.SIGINT else "SIGTERM"
        sys.stderr.write(f"stopped by {source}{_advice and f'; {_advice}'}\n")
        sys.stderr.flush()
    _is_said = True


def _end_by_force(after_s: float = 0.0) -> None:
    """End without the interpreter's clean-up, which takes long after a training, or hangs."""
    time.sleep(after_s)
    number = _received or signal.SIGTERM
    _say(number)
    for worker in multiprocessing.active_children():
        worker.kill()
    sys.stdout.flush()
    os._exit(128 + number)
