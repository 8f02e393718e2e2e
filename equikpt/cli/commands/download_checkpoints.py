from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import argument, option

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
        "short names (see --list), or all", default=(), nargs="*", metavar="NAME"
    )
    list: bool = option("show what there is, fetch nothing", default=False)
    dest: Path | None = option(
        "where the files go (default: data/checkpoints, which git ignores)",
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


def ask(name: str, found: str) -> bool:
    """Show a person the sum of a file, and ask whether to take it."""
    if not sys.stdin.isatty():
        return False
    print(f"{name}: no whole SHA-256 is known of it; it is\n  {found}")
    return input("take it, and compare with this sum from now on? [y/N] ").lower() in ("y", "yes")


def main(argv: list[str] | None = None) -> int:
    """Fetch the named weights, or list them; 0 when done."""
    options = declare.parse(DownloadOptions, argv, EPILOG)
    from tqdm import tqdm

    from equikpt.checkpoints.zoo import FOLDER, fetch, format_list, select, state, usage
    from equikpt.core.files import require_writable

    folder = options.dest or FOLDER
    if options.list:
        width = shutil.get_terminal_size((140, 24)).columns
        print(format_list(folder, width, select(options.names or ["all"])))
        return 0
    require_writable(folder)
    for row in select(options.names):
        path, fetched = fetch(
            row,
            folder,
            overwrite=options.overwrite,
            check=options.check,
            accept_sha256=options.accept_sha256,
            ask=ask,
            log=tqdm.write,  # beside the bar, not into it
        )
        print(f"{path} ({'fetched' if fetched else 'kept'}; {state(row, folder)})")
        print(f"  {usage(row, path)}", flush=True)
    return 0
