"""Draw images of horses with exact labels: data for a first run, never for results."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from equikpt.cli.entry import MAX_SEED, whole

ROOT = Path(__file__).resolve().parents[1]
LINE_EVERY_S = 5.0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--train", type=whole(), required=True, help="number of training images")
    parser.add_argument("--val", type=whole(), required=True, help="number of validation images")
    parser.add_argument(
        "--test", type=whole(), default=0, help="number of test images (default: 0)"
    )
    parser.add_argument(
        "--seed", type=whole(0, MAX_SEED), default=0, help="same seed, same images (default: 0)"
    )
    parser.add_argument("--jobs", type=whole(1), help="processes (default: one a core)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace sample data of other parameters"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
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

    from equikpt.core.files import require_writable
    from equikpt.core.machine import usable_cores
    from projects.sample_horses.coco import Parameters
    from projects.sample_horses.writer import write_samples

    require_writable(args.out)
    jobs = usable_cores() if args.jobs is None else args.jobs
    parameters = Parameters(args.train, args.val, args.test, args.seed)
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

        written = write_samples(args.out, parameters, jobs, args.overwrite, progress)
    if written:
        seconds = time.monotonic() - started
        print(f"sample data: {total} images written to {args.out} in {seconds:.0f} s")
    else:
        print(f"sample data: {args.out} is complete, nothing to do")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
