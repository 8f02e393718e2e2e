from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from equikpt.cli import options as declare
from equikpt.cli.options import ABOVE_0, argument, number, option, required, whole

if TYPE_CHECKING:
    from equikpt.gait import GaitOptions as MeasuringOptions
    from equikpt.gait import GaitReport

FILES = {
    "strides.csv": ("stride", "gait", "footfalls", "part", "measure", "unit")
    + ("value", "low", "high"),
    "trials.csv": ("gait", "part", "measure", "unit", "strides", "left_out", "mean", "sd")
    + ("low", "high", "noise", "remark"),
    "curves.csv": ("gait", "limb", "joint", "percent", "strides", "mean_deg", "sd_deg")
    + ("low_deg", "high_deg"),
}
"""Tables that are written, with their columns after ``table`` and ``animal``."""
SHOWN = (
    *(("stride", name) for name in ("duration", "length", "speed")),
    *((limb, "duty_factor") for limb in ("lf", "rf", "lh", "rh")),
    *(("head", name) for name in ("HDmin", "HDmax")),
    *(("withers", name) for name in ("WDmin", "WDmax")),
    *(("pelvis", name) for name in ("PDmin", "PDmax")),
)
"""Means that are printed."""


@dataclass(frozen=True, kw_only=True)
class GaitOptions:
    """Measure the gait in tables of keypoints over time, seen from the side.

      equikpt gait trot.csv --out trot_gait --height-mm 1620 --video trot.mp4
      equikpt gait tables/ --out gaits --fps 60 --names names.json

    strides.csv has each measure of each stride, trials.csv their means over the trial, curves.csv
    the mean angles over the stride; all with intervals. NAME.html shows a table's video or a stick
    figure beside its curves, and the results. Measures describe a movement and are not a diagnosis.
    Exit code 0: every animal is measured; 1: some are not, which are named; 2: wrong
    input.
    """

    tables: Sequence[Path] = argument(
        "tables with times or frames: of equikpt (csv), DeepLabCut (csv, h5) or SLEAP (slp), or "
        "folders of them",
        metavar="TABLE|DIR",
    )
    out: Path = required("folder for the tables and pages", metavar="DIR")
    video: Path | None = option(
        "video of the only table, for its page, which names it by its way from DIR", metavar="FILE"
    )
    fps: float | None = option(
        "frames a second, of tables without times", type=number(ABOVE_0), metavar="N"
    )
    names: Path | None = option(
        'name of each point, for tables with names of their own: {"lf_hoof": "Huf VL", …}',
        metavar="FILE.json",
    )
    height_mm: float | None = option(
        "height of the withers' keypoint over those of standing hooves; lengths are in mm then, "
        "else in hundredths of it",
        type=number(ABOVE_0),
        at_most_one_of="scale",
    )
    mm_per_px: float | None = option(
        "scale where the animal goes, by something of known length there",
        type=number(ABOVE_0),
        at_most_one_of="scale",
    )
    level: float = option(
        "probability of the intervals", default=0.9, type=number(0.01, 0.999), metavar="FRACTION"
    )
    radius_level: float = option(
        "probability that the table's radii stand for",
        default=0.9,
        type=number(0.01, 0.999),
        metavar="FRACTION",
    )
    min_score: float = option(
        "score below which a point counts as missing", default=0.2, metavar="SCORE"
    )
    replicates: int = option("replicates of the Monte Carlo", default=100, type=whole(20))
    seed: int = declare.seed("seed of the Monte Carlo")
    overwrite: bool = declare.overwrite("earlier tables and pages")


def main(argv: list[str] | None = None) -> int:
    """Measure animal by animal; 1 where one could not be measured."""
    options = declare.parse(GaitOptions, argv)
    from tqdm import tqdm

    from equikpt import gait
    from equikpt.core.errors import is_user_error
    from equikpt_runtime.cells import CsvTable
    from equikpt_runtime.files import refuse_existing

    paths = _tables(options.tables)
    _check_video(options.video, paths)
    pages = _pages(paths, options.out)
    for path in (*(options.out / name for name in FILES), *pages.values()):
        refuse_existing(path, options.overwrite)
    settings = _settings(options)
    problems: list[str] = []
    written = [options.out / name for name in FILES]
    count = 0
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(CsvTable(options.out / name, ("table", "animal", *columns)))
            for name, columns in FILES.items()
        }
        for path in tqdm(paths, unit="table", disable=None):
            try:
                animals = gait.read_tables(path, options.fps)
            except (ValueError, OSError) as error:
                if not is_user_error(error):
                    raise
                animals, count = [], count + 1
                problems.append(f"{path}: {error}")
            for animal in animals:
                count += 1
                where = f"{path}{', animal ' * bool(animal.animal)}{animal.animal}"
                try:
                    report = gait.analyse(animal, settings)
                except ValueError as error:
                    if not is_user_error(error):
                        raise
                    problems.append(f"{where}: {error}")
                    continue
                for name, rows in _rows(report).items():
                    own = dict(table=str(path), animal=animal.animal)
                    tables[name].add(*({**own, **row} for row in rows))
                written.append(_write_page(pages[path], report, options))
                tqdm.write("\n".join([f"{where}: {headline(report)}", *_lines(report)]))
        if len(problems) == count:
            raise ValueError(f"none of {count} animals can be measured: {problems[0]}")
    lines = [f"{len(problems)} of {count} animals could not be measured:"] * bool(problems)
    lines += [f"  {each}" for each in problems]
    print("\n".join([*lines, *(f"written: {path}" for path in written)]))
    return int(bool(problems))


def _settings(options: GaitOptions) -> MeasuringOptions:
    from equikpt import gait

    return gait.GaitOptions(
        names=gait.read_name_map(options.names) if options.names else None,
        **{name: getattr(options, name) for name in ("min_score", "radius_level", "level")},
        **{name: getattr(options, name) for name in ("replicates", "seed")},
        **{name: getattr(options, name) for name in ("height_mm", "mm_per_px")},
    )


def _tables(given: Sequence[Path]) -> list[Path]:
    """Files of the given files and folders; of a table as csv and as h5 the csv."""
    from equikpt.gait.tables import SUFFIXES, check_table

    paths: list[Path] = []
    for each in given:
        if not each.is_dir():
            check_table(each)
            paths.append(each)
            continue
        inside = sorted(path for path in each.iterdir() if path.suffix in SUFFIXES)
        if not inside:
            raise FileNotFoundError(f"no table ({', '.join(SUFFIXES)}) in the folder {each}")
        paths += [
            path
            for path in inside
            if not (path.suffix == ".h5" and path.with_suffix(".csv") in inside)
        ]
    return paths


def _check_video(video: Path | None, tables: Sequence[Path]) -> None:
    if video is None:
        return
    if not video.is_file():
        raise FileNotFoundError(f"no file {video}; give the video that the table was made from")
    if len(tables) > 1:
        raise ValueError(f"expected one table with --video, got {len(tables)}; run them one by one")


def _pages(tables: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Name the page of each table after it; of tables of one name the later ones are numbered."""
    pages: dict[Path, Path] = {}
    for table in tables:
        name, rank = f"{table.stem}.html", 1
        while out / name in pages.values():
            rank += 1
            name = f"{table.stem}_{rank}.html"
        pages[table] = out / name
    return pages


def _write_page(path: Path, report: GaitReport, options: GaitOptions) -> Path:
    """Write the page of an animal; one of several has its name behind that of the table."""
    from equikpt.report.html.gait_page import to_html
    from equikpt_runtime.files import refuse_existing, write_text

    if report.animal:
        path = path.with_stem(f"{path.stem}_{re.sub('[^A-Za-z0-9-]+', '_', report.animal)}")
        refuse_existing(path, options.overwrite)
    address = None
    if options.video is not None:
        way = os.path.relpath(options.video.resolve(), path.parent.resolve())
        address = quote(Path(way).as_posix())
    write_text(path, to_html(report, path.stem, address, tuple(FILES)))
    return path


def _rows(report: GaitReport) -> dict[str, Iterator[dict[str, Any]]]:
    return {
        "strides.csv": _stride_rows(report),
        "trials.csv": _trial_rows(report),
        "curves.csv": _curve_rows(report),
    }


def _stride_rows(report: GaitReport) -> Iterator[dict[str, Any]]:
    strides = {each.number: each for each in report.strides}
    for each in report.measures:
        value, half = float(each.values[0]), each.half_width(report.options.level)
        stride = strides[each.stride]
        yield dict(
            stride=each.stride + 1,
            gait=stride.gait,
            footfalls=stride.footfalls,
            part=each.part,
            measure=each.name,
            unit=each.unit,
            value=value,
            low=value - half,
            high=value + half,
        )


def _trial_rows(report: GaitReport) -> Iterator[dict[str, Any]]:
    for each in report.values:
        yield dict(
            gait=report.gait,
            part=each.part,
            measure=each.name,
            unit=each.unit,
            strides=each.count,
            left_out=each.left_out,
            mean=each.mean,
            sd=each.sd,
            low=each.low,
            high=each.high,
            noise=each.noise,
            remark=each.remark,
        )


def _curve_rows(report: GaitReport) -> Iterator[dict[str, Any]]:
    from equikpt.gait.analysis import MIN_STRIDES, mean_curve

    for (limb, joint), curves in report.curves.items():
        if len(curves.strides) < MIN_STRIDES:
            continue
        bands = mean_curve(curves, report.options.level)
        for percent, (mean, sd, low, high) in enumerate(zip(*bands, strict=True)):
            yield dict(
                gait=report.gait,
                limb=limb,
                joint=joint,
                percent=percent,
                strides=len(curves.strides),
                mean_deg=float(mean),
                sd_deg=float(sd),
                low_deg=float(low),
                high_deg=float(high),
            )


def headline(report: GaitReport) -> str:
    """State the gait and the number of strides."""
    own = [each for each in report.strides if each.gait == report.gait]
    order = f", {own[0].footfalls}" if own else ""
    return f"{report.gait}, {len(own)} strides{order}"


def _lines(report: GaitReport) -> Iterator[str]:
    known = {(each.part, each.name): each for each in report.values}
    for key in SHOWN:
        each = known.get(key)
        if each is None:
            continue
        if each.remark:
            yield f"  {each.part} {each.name}: {each.remark}"
        else:
            interval = f"{each.mean:.4g} ({each.low:.4g} to {each.high:.4g}) {each.unit}".rstrip()
            left_out = f", {each.left_out} outliers left out" if each.left_out else ""
            yield f"  {each.part} {each.name}: {interval}, {each.count} strides{left_out}"
    yield from (f"  {note}" for note in report.notes)
