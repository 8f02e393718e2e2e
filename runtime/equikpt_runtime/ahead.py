"""Work that a thread does in the meantime."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_POLL_S = 0.1


def ahead(items: Iterable[Item], count: int = 1) -> Iterator[Item]:
    """Yield items that a thread makes while the caller works on those before.

    At most ``count`` are made and wait, one is being made, and one is at the caller. What making
    them raises is raised here, in its place. The thread ends with the iterator.
    """
    made: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(count)
    stopped = threading.Event()

    def put(is_item: bool, value: Item | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                made.put((is_item, value), timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            if all(put(True, item) for item in items):
                put(False, None)
        except BaseException as error:  # noqa: B902 - it is raised where the item is asked for
            put(False, error)

    thread = threading.Thread(target=work, name="equikpt-ahead", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = made.get()
            if not is_item:
                if value is not None:
                    raise value  # type: ignore[misc]  # an item is told from an error by the flag
                return
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
