"""Work over many files by the processes of Dask, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

CONNECT_S = 20
"""Time in which a scheduler must answer."""
TRIES = 3
"""Times that a file is given to a worker, of which others may have failed or been lost."""


def spread(
    work: Callable[[Path], Result],
    paths: Sequence[Path],
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[Path, Result | BaseException]]:
    """Do work on files, whichever worker is free; yield each file's result as it comes.

    A worker that is lost, such as one that was killed, costs nothing but time: its file goes to
    another one, so that ``work`` must bear to be done twice, even at once.

    Args:
        work: Function that can be pickled. What it raises is its result.
        paths: Files, which the workers see under the same names.
        workers: Processes to start on this machine.
        scheduler: Address of a cluster's scheduler instead, ``tcp://HOST:PORT``.

    Raises:
        ImportError: Dask is not installed.
        OSError: No scheduler at the address.
    """
    check_dask()
    from dask import config
    from dask.distributed import Client, LocalCluster, as_completed

    quiet = {
        "distributed.nanny.pre-spawn-environ.TQDM_DISABLE": "1",
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": "1",
        "distributed.scheduler.allowed-failures": TRIES,
        "distributed.logging.distributed": "critical",
    }
    with config.set(quiet), ExitStack() as stack:
        place: Any = scheduler
        if not scheduler:
            count = min(workers or 1, len(paths))
            place = LocalCluster(count, threads_per_worker=1, dashboard_address=None)
            stack.enter_context(place)
        try:
            client = stack.enter_context(Client(place, timeout=CONNECT_S))
        except OSError as error:
            raise OSError(
                f"expected a scheduler of Dask at {place}, none answered; start one by dask "
                "scheduler, or see its address"
            ) from error
        futures = client.map(work, paths, pure=False, retries=TRIES - 1)
        names = dict(zip((each.key for each in futures), paths, strict=True))
        for future in as_completed(futures):
            raised = future.exception()
            yield names[future.key], future.result() if raised is None else raised


def check_dask() -> None:
    """Refuse before anything is computed.

    Raises:
        ImportError: Dask is not installed.
    """
    if find_spec("distributed") is None:
        raise ImportError(
            "workers need Dask, which is not installed; run pip install 'dask[distributed]', or "
            "track a part of the videos on each machine by --shard"
        )
