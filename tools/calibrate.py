"""Find the scale of films: mm per px with a confidence, or the reason why there is none.

Each result is written as it comes. Exit code 0: every film has a scale; 1: some were refused or
could not be read, which are named at the end; 2: wrong input.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields, replace
from pathlib import Path

from equikpt.cli.entry import SMALLEST, add_max_megapixels, number


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", nargs="+", metavar="FILM", help="PNG, JPEG, TIFF or DICOM files")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE.pth")
    parser.add_argument(
        "--config", default="p1p2_timm_512", help="of the checkpoint (default: %(default)s)"
    )
    parser.add_argument(
        "--refine",
        type=Path,
        metavar="FILE.pth",
        help="checkpoint of a second stage, which looks at each mark again in full resolution",
    )
    parser.add_argument(
        "--refine-config",
        default="p1p2_timm_refine",
        help="of that checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--ruler-mm",
        type=number(SMALLEST),
        default=10.0,
        help="distance of the marks (default: %(default)s)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE.json",
        help="labelled films as the model was trained on: what their rulers look like is plausible",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the labelled films")
    parser.add_argument(
        "--distance",
        type=float,
        nargs=2,
        metavar=("LEAST", "GREATEST"),
        help="plausible distance of the marks in percent of the film's height",
    )
    parser.add_argument(
        "--angle",
        type=float,
        nargs=2,
        metavar=("LEAST", "GREATEST"),
        help="plausible direction from p1 to p2 in degrees, 90 is straight up",
    )
    parser.add_argument(
        "--score", type=number(0), default=0.3, help="least score of a mark (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("work_dirs/calibration"),
        metavar="DIR",
        help="where scales.json and scales.csv go (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="such as cuda:0 (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result")
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from tqdm import tqdm

    from equikpt.apis.calibration import (
        Plausible,
        Scale,
        calibrate,
        check_options,
        format_scale,
        plausible_from,
    )
    from equikpt.apis.ruler import RulerFinder
    from equikpt.cli.launch import load_config
    from equikpt.core.files import refuse_existing
    from equikpt.core.image_batch import failures
    from equikpt.core.tables import CsvTable, JsonTable

    targets = [args.out / "scales.json", args.out / "scales.csv"]
    for target in targets:
        refuse_existing(target, args.overwrite)
    check_options(args.ruler_mm, args.labels, args.images)
    plausible = Plausible(score=args.score)
    if args.labels:
        plausible = plausible_from(args.labels, args.images, args.score)
    if args.distance:
        plausible = replace(plausible, distance=tuple(part / 100 for part in args.distance))
    if args.angle:
        plausible = replace(plausible, angle_deg=tuple(args.angle))
    columns = [field.name for field in fields(Scale)]
    problems, refused = [], 0
    with JsonTable(targets[0]) as as_json, CsvTable(targets[1], columns) as as_csv:
        finder = RulerFinder.load(
            load_config(args.config),
            args.checkpoint,
            load_config(args.refine_config) if args.refine else None,
            args.refine,
            args.device,
        )
        found = calibrate(args.films, finder, args.ruler_mm, plausible)
        for scale in tqdm(found, total=len(args.films), unit="film", disable=None):
            as_json.add(asdict(scale))
            as_csv.add(asdict(scale))
            refused += bool(scale.refused)
            if scale.is_read:
                tqdm.write(format_scale(scale))
            else:
                problems.append(f"{scale.film}: {scale.refused}")
    written = f"written: {targets[0]}, {targets[1]}"
    print("\n".join([*failures(problems, len(args.films)), written]))
    return int(refused > 0)


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
