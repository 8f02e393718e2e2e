from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(declare.ReadsImages):
    """Find the scale of radiographs: mm per px with a confidence, or the reason why there is none.

    Each result is written as it comes. Exit code 0: every radiograph has a scale; 1: some were
    refused or could not be read, which are named at the end; 2: wrong input.
    """

    radiographs: Sequence[str] = argument("PNG, JPEG, TIFF or DICOM files", metavar="RADIOGRAPH")
    checkpoint: Path | None = declare.checkpoint_option()
    config: str = option(
        "config of the checkpoint",
        metavar="CONFIG",
        default="td-hm_efficientnet-lite0_p1p2-512x512",
    )
    refine: Path | None = option(
        "checkpoint of the refine stage, which finds each mark again in full resolution",
        metavar="FILE.pth|DIR",
    )
    refine_config: str = option(
        "config of that checkpoint",
        metavar="CONFIG",
        default="td-hm_efficientnet-lite0_p1p2-refine-192x192",
    )
    ruler_mm: float = option("distance of the marks in mm", default=10.0, type=number(ABOVE_0))
    labels: Path | None = option(
        "labels of radiographs as the model was trained on: rulers that look like theirs, ticks "
        "included, are plausible",
        metavar="FILE.json",
    )
    img_dir: Path | None = declare.img_dir("folder of the labelled radiographs")
    distance: tuple[float, float] | None = option(
        "plausible distance of the marks in percent of the radiograph's height (default: 1 50, or "
        "as --labels has it)",
        metavar=("MIN", "MAX"),
    )
    angle: tuple[float, float] | None = option(
        "plausible direction from p1 to p2 in degrees, 90 is straight up (default: 30 150, or as "
        "--labels has it)",
        metavar=("MIN", "MAX"),
    )
    score: float = option("min score of a mark", default=0.3, type=number(0))
    out: Path = option(
        "where scales.json and scales.csv go", default=Path("work_dirs/calibration"), metavar="DIR"
    )
    refuse: bool = declare.refuse("give every scale, with the reason as its doubt")
    device: str | None = declare.device()
    overwrite: bool = declare.overwrite("an earlier result")


def main(argv: list[str] | None = None) -> int:
    """Calibrate radiograph by radiograph; 1 where one has no scale."""
    options = declare.parse(CalibrateOptions, argv)
    from tqdm import tqdm

    from equikpt.apis.ruler import RulerFinder, Scale, calibrate, format_scale
    from equikpt.cli.launch import load_config
    from equikpt.core.image import failures
    from equikpt_runtime.cells import CsvTable, JsonTable
    from equikpt_runtime.files import refuse_existing

    targets = [options.out / "scales.json", options.out / "scales.csv"]
    for target in targets:
        refuse_existing(target, options.overwrite)
    if (options.labels is None) != (options.img_dir is None):
        raise ValueError("expected --labels and --img-dir together, got one of them")
    plausible = _plausible(options)
    columns = [field.name for field in fields(Scale)]
    problems, refused, doubtful = [], 0, 0
    with JsonTable(targets[0]) as as_json, CsvTable(targets[1], columns) as as_csv:
        finder = RulerFinder.load(
            load_config(options.config),
            options.checkpoint,
            load_config(options.refine_config) if options.refine else None,
            options.refine,
            options.device,
        )
        found = calibrate(options.radiographs, finder, options.ruler_mm, plausible, options.refuse)
        for scale in tqdm(found, total=len(options.radiographs), unit="radiograph", disable=None):
            as_json.add(asdict(scale))
            as_csv.add(asdict(scale))
            refused += bool(scale.refused)
            doubtful += bool(scale.doubt)
            if scale.is_read:
                tqdm.write(format_scale(scale))
            else:
                problems.append(f"{scale.radiograph}: {scale.refused}")
    lines = failures(problems, len(options.radiographs))
    if doubtful:
        lines.append(f"in doubt, given by --no-refuse: {doubtful} of {len(options.radiographs)}")
    print("\n".join([*lines, f"written: {targets[0]}, {targets[1]}"]))
    return int(refused > 0)


def _plausible(options: CalibrateOptions):
    """Rulers that are believed: like the labelled ones, or as the options say."""
    from equikpt.apis.ruler_look import Plausible, plausible_from

    plausible = Plausible(score=options.score)
    if options.labels and options.img_dir:
        plausible = plausible_from(options.labels, options.img_dir, options.score)
    if options.distance:
        low, high = options.distance
        plausible = replace(plausible, distance=(low / 100, high / 100))
    if options.angle:
        plausible = replace(plausible, angle_deg=(options.angle[0], options.angle[1]))
    return plausible
