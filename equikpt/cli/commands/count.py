from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import argument, option


@dataclass(frozen=True, kw_only=True)
class CountOptions(declare.ReadsImages):
    """Count the things in images by pointing at one after another.

    Each result is written as it comes. Exit code 0: every image has a count; 1: some could not be
    read or are unlike those of the training, which are named at the end; 2: wrong input.
    """

    images: Sequence[str] = argument("files to count in", metavar="IMAGE")
    checkpoint: Path | None = declare.checkpoint_option()
    config: str = option(
        "config of the checkpoint",
        metavar="CONFIG",
        default="sequential_efficientnet-lite0_fsc147-384x384",
    )
    out: Path = option(
        "where counts.json and the images with their points go",
        default=Path("work_dirs/counts"),
        metavar="DIR",
    )
    draw: bool = option("write counts.json alone", default=True)
    refuse: bool = declare.refuse("give the counts")
    device: str | None = declare.device()
    overwrite: bool = declare.overwrite("an earlier result")


def main(argv: list[str] | None = None) -> int:
    """Count image by image; 1 where one could not be read."""
    options = declare.parse(CountOptions, argv)
    from tqdm import tqdm

    from equikpt.apis.counting import count, format_count, load
    from equikpt.apis.images import drawn_paths
    from equikpt.cli.launch import load_config
    from equikpt.core.image import failures
    from equikpt_runtime.cells import JsonTable
    from equikpt_runtime.files import refuse_existing

    images, folder = options.images, options.out if options.draw else None
    result = options.out / "counts.json"
    for target in (result, *(drawn_paths(images, folder, "points") if folder else ())):
        refuse_existing(target, options.overwrite)
    problems = []
    with JsonTable(result) as table:
        predictor = load(load_config(options.config), options.checkpoint, options.device)
        found = count(images, predictor, folder, options.refuse)
        for each in tqdm(found, total=len(images), unit="image", disable=None):
            table.add(asdict(each))
            if each.problem:
                problems.append(f"{each.image}: {each.problem}")
            else:
                tqdm.write(format_count(each))
    print("\n".join([*failures(problems, len(images), "counted"), f"written: {result}"]))
    return int(bool(problems))
