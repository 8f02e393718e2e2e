"""Draw images of horses with exact labels: data for a first run, never for results."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.options import option, required, whole

ROOT = Path(__file__).resolve().parents[1]
LINE_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """Draw images of horses with exact labels: data for a first run, never for results."""

    out: Path = required("folder of the data set", metavar="DIR")
    train: int = required("number of training images", type=whole())
    val: int = required("number of validation images", type=whole())
    test: int = option("number of test images", default=0, type=whole())
    seed: int = declare.seed("same seed, same images")
    view: Literal["any", "side"] = option(
        "any: horses that stand and move; side: one that moves, from its side", default="any"
    )
    size: tuple[int, int] = option(
        "width and height, px", default=(320, 240), metavar=("WIDTH", "HEIGHT"), type=whole(64)
    )
    jobs: int | None = option("processes (default: one a core)", type=whole(1))
    overwrite: bool = declare.overwrite("sample data of other parameters")


def main(argv: list[str] | None = None) -> int:
    options = declare.parse(SampleOptions, argv)
    if not (ROOT / "projects" / "sample_horses").is_dir():
        raise FileNotFoundError(
            f"expected the renderer of the sample horses at {ROOT / 'projects' / 'sample_horses'}, "
            "found none: an installed equikpt does not hold it; run this from a checkout"
        )
    sys.path.insert(0, str(ROOT))
    # One image a process fills a core; numpy's own threads would only get in each other's way.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from tqdm import tqdm

    from equikpt_runtime.files import require_writable
    from equikpt_runtime.machine import usable_cores
    from projects.sample_horses.coco import Parameters
    from projects.sample_horses.writer import write_samples

    require_writable(options.out)
    jobs = usable_cores() if options.jobs is None else options.jobs
    counts = (options.train, options.val, options.test)
    parameters = Parameters(*counts, options.seed, *options.size, options.view)
    total = sum(parameters.splits.values())
    started = last_line = time.monotonic()
    with tqdm(total=total, unit="image", desc="sample data", disable=None) as bar:
        done = 0

        def progress(images: int) -> None:
            nonlocal done, last_line
            done += images
            bar.update(images)
            now = time.monotonic()
            if bar.disable and now - last_line >= LINE_EVERY_S:
                last_line = now
                print(f"sample data: {done} of {total} images, {now - started:.0f} s", flush=True)

        written = write_samples(options.out, parameters, jobs, options.overwrite, progress)
    if written:
        seconds = time.monotonic() - started
        print(f"sample data: {total} images written to {options.out} in {seconds:.0f} s")
    else:
        print(f"sample data: {options.out} is complete, nothing to do")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
