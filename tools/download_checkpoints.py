"""Download released weights to start a training from, and check them."""

from __future__ import annotations

import argparse
from pathlib import Path


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            "A download that is cut off is tried again, five times in all.\n"
            "Proxies are taken from https_proxy, http_proxy and no_proxy, your own certificates\n"
            "from REQUESTS_CA_BUNDLE.\n"
            "On a machine without network, fetch the files elsewhere and copy the folder."
        ),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="short names (see --list), or all")
    parser.add_argument("--list", action="store_true", help="show what there is, fetch nothing")
    parser.add_argument(
        "--dest",
        type=Path,
        metavar="DIR",
        help="where the files go (default: data/checkpoints, which git ignores)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is not the right one"
    )
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="take the file whatever its SHA-256, for one whose name tells a wrong sum",
    )
    parser.add_argument(
        "--accept-sha256",
        nargs="+",
        default=[],
        metavar="HEX",
        help="take files with these sums, where the package knows no whole sum; without it you are "
        "shown the sum and asked, once",
    )
    return parser.parse_args(argv)


def ask(name: str, found: str) -> bool:
    """Show a person the sum of a file, and ask whether to take it."""
    import sys

    if not sys.stdin.isatty():
        return False
    print(f"{name}: no whole SHA-256 is known of it; it is\n  {found}")
    return input("take it, and compare with this sum from now on? [y/N] ").lower() in ("y", "yes")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    import shutil

    from tqdm import tqdm

    from equikpt.checkpoints.zoo import FOLDER, fetch, format_list, select, state, usage
    from equikpt.core.files import require_writable

    folder = args.dest or FOLDER
    if args.list:
        width = shutil.get_terminal_size((140, 24)).columns
        print(format_list(folder, width, select(args.names or ["all"])))
        return 0
    require_writable(folder)
    for row in select(args.names):
        path, fetched = fetch(
            row,
            folder,
            overwrite=args.overwrite,
            check=not args.no_check,
            accept=lambda name, found: found in args.accept_sha256 or ask(name, found),
            tell=tqdm.write,  # beside the bar, not into it
        )
        print(f"{path} ({'fetched' if fetched else 'kept'}; {state(row, folder)})")
        print(f"  {usage(row, path)}", flush=True)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
