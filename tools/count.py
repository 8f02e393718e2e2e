"""Count the things in pictures by pointing at one after another.

Each result is written as it comes. Exit code 0: every picture has a count; 1: some could not be
read, which are named at the end; 2: wrong input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from equikpt.cli.entry import add_max_megapixels


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE.pth")
    parser.add_argument(
        "--config", default="sequential_fsc147_384", help="of the checkpoint (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("work_dirs/counts"),
        metavar="DIR",
        help="where counts.json and the pictures with their points go (default: %(default)s)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="write counts.json alone")
    parser.add_argument("--device", default="cpu", help="such as cuda:0 (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result")
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from dataclasses import asdict

    from tqdm import tqdm

    from equikpt.apis.counting import count, drawn_paths, format_count, load
    from equikpt.cli.launch import load_config
    from equikpt.core.files import refuse_existing
    from equikpt.core.image_batch import failures
    from equikpt.core.tables import JsonTable

    folder = None if args.no_pictures else args.out
    result = args.out / "counts.json"
    for target in (result, *(drawn_paths(args.images, folder) if folder else ())):
        refuse_existing(target, args.overwrite)
    problems = []
    with JsonTable(result) as table:
        predictor = load(load_config(args.config), args.checkpoint, args.device)
        found = count(args.images, predictor, folder)
        for each in tqdm(found, total=len(args.images), unit="picture", disable=None):
            table.add(asdict(each))
            if each.problem:
                problems.append(f"{each.picture}: {each.problem}")
            else:
                tqdm.write(format_count(each))
    print("\n".join([*failures(problems, len(args.images), "counted"), f"written: {result}"]))
    return int(bool(problems))


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
