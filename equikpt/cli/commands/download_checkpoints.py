from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from equikpt.cli import options as declare
from equikpt.cli.options import argument, option

if TYPE_CHECKING:
    from equikpt.checkpoints.zoo import Checkpoint
    from equikpt.checkpoints.zoo_files import UnacceptedError

MAX_UNASKED_MB = 100
"""Megabytes that are fetched without a question where no names are given."""

EPILOG = """
A download that is cut off is tried again, five times in all.
Proxies are taken from https_proxy, http_proxy and no_proxy, your own certificates
from REQUESTS_CA_BUNDLE.
On a machine without network, fetch the files elsewhere and copy the folder.
"""


@dataclass(frozen=True)
class DownloadOptions:
    """Download released weights to start a training from, and check them."""

    names: Sequence[str] = argument(
        "short names (see --list), or all (default: what the configs start from)",
        default=(),
        nargs="*",
        metavar="NAME",
    )
    list: bool = option("show what there is, fetch nothing", default=False)
    yes: bool = option("do not ask before much is fetched", "--yes", "-y", default=False)
    dest: Path | None = option(
        "where the files go (default: data/checkpoints, where the configs look; "
        "EQUIKPT_CHECKPOINTS names another folder to both)",
        "--dest",
        "--out",
        metavar="DIR",
    )
    overwrite: bool = declare.overwrite("a file that is not the right one")
    check: bool = option(
        "take the file whatever its SHA-256, for one whose name has a wrong sum", default=True
    )
    accept_sha256: Sequence[str] = option(
        "take files with these sums, where the package knows no whole sum; without it you are "
        "shown the sum and asked, once",
        default=(),
        metavar="HEX",
    )


def main(argv: list[str] | None = None) -> int:
    """Fetch the named weights, or list them; 0 when done."""
    options = declare.parse(DownloadOptions, argv, EPILOG)
    from equikpt.checkpoints.zoo import needed, select
    from equikpt.checkpoints.zoo_files import accepting, default_folder, format_list
    from equikpt_runtime.files import require_writable

    folder = options.dest or default_folder()
    width = shutil.get_terminal_size((140, 24)).columns
    if options.list:
        print(format_list(folder, width, select(options.names or ["all"])))
        return 0
    require_writable(folder)
    rows = select(options.names) if options.names else needed()
    if not options.names and not (options.yes or _may_fetch(rows, folder)):
        print("nothing was fetched")
        return 0
    refused = [error for row in rows if (error := _fetch(row, folder, options))]
    if not options.names:
        print(format_list(folder, width, rows))
    if len(refused) == 1:
        raise refused[0]
    if refused:
        raise ValueError(
            f"expected somebody to accept {len(refused)} files of which no whole SHA-256 is known; "
            f"compare the sums with a source that you trust, then call {accepting(refused)}"
        )
    return 0


def _fetch(row: Checkpoint, folder: Path, options: DownloadOptions) -> UnacceptedError | None:
    """Fetch one file and say how it is used; the error of one that nobody accepts is returned."""
    from tqdm import tqdm

    from equikpt.checkpoints.zoo_files import (
        UnacceptedError,
        ask_on_terminal,
        fetch,
        state,
        usage,
    )

    try:
        path, fetched = fetch(
            row,
            folder,
            overwrite=options.overwrite,
            check=options.check,
            accept_sha256=options.accept_sha256,
            ask=ask_on_terminal,
            log=tqdm.write,  # beside the bar, not into it
        )
    except UnacceptedError as error:
        return error
    print(f"{path} ({'fetched' if fetched else 'kept'}; {state(row, folder)})")
    print(f"  {usage(row, path)}", flush=True)
    return None


def _may_fetch(rows: Sequence[Checkpoint], folder: Path) -> bool:
    """Ask before much is fetched.

    Raises:
        ValueError: There is nobody to ask.
    """
    from equikpt.checkpoints.download import size_bytes, unaccepted

    paths = {row: folder / row.file_name for row in rows}
    absent = [row for row, at in paths.items() if not (at.exists() or unaccepted(at).exists())]
    sizes = [size_bytes(row.url) / 1e6 for row in absent]
    if all(sizes) and sum(sizes) <= MAX_UNASKED_MB:
        return True
    much = f"{sum(sizes):.0f} MB" if all(sizes) else "of unknown size"
    names = ", ".join(row.name for row in absent)
    if not sys.stdin.isatty():
        raise ValueError(
            f"expected --yes, since there is no terminal to ask on whether to fetch {len(absent)} "
            f"files ({much}) into {folder}: {names}; or name those that you need"
        )
    question = f"fetch {len(absent)} files ({much}) into {folder}: {names}? [y/N] "
    return input(question).lower() in ("y", "yes")
