"""Errors of the gait's measures on films of moving sample horses, whose gait is known exactly.

    python tools/make_sample_data.py --out SIDE --train 800 --val 100 --view side --size 640 480
    equikpt init SIDE_PROJECT --input SIDE && equikpt train SIDE_PROJECT
    python benchmarks/gait_images.py films FILMS --trials 2
    equikpt track FILMS/*.avi --work-dir SIDE_PROJECT --out TRACKS
    python benchmarks/gait_images.py errors TRACKS --trials 2

The trots are those of ``gait.py``, by horses of other builds and coats than the model was trained
on. The camera stands beside a treadmill (``follows``), or is one of the others of ``Motion``.
``errors`` prints the table of ``gait.py``, and of each keypoint how far and how the model is off.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from gait import REPORT_SEEDS, errors, random_motion, table
from tqdm import tqdm

from equikpt.gait import GaitOptions, KeypointTable, analyse, read_tables
from projects.sample_horses.films import write_film
from projects.sample_horses.horse import random_horse
from projects.sample_horses.trials import NAMES, Motion, MovingTrial, moving_trial

CAMERAS = ("follows", "pans", "hand-held")


def trial_of(args: argparse.Namespace, number: int) -> MovingTrial:
    """A trial by its number, the same in every call with the same arguments."""
    seed = args.seed + number
    horse = random_horse(np.random.default_rng(seed), (0.0, 0.0), 0.0)
    width = round(1.6 * args.length_px)
    motion: Motion = random_motion(
        seed,
        build=replace(horse.build, size=1.0),
        length_px=float(args.length_px),
        size_px=(width, width * 2 // 3),
        strides=args.strides,
        fps=args.fps,
        camera=args.camera,
    )
    return moving_trial(motion, seed, horse.coat)


def name_of(args: argparse.Namespace, number: int) -> str:
    return f"trot_{args.camera}_{args.seed + number}"


def write_films(args: argparse.Namespace) -> None:
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.trials):
        path = args.folder / f"{name_of(args, number)}.avi"
        if not path.is_file():
            trial = trial_of(args, number)
            bar = tqdm(total=len(trial.times_s), desc=path.stem, unit="frame", disable=None)
            write_film(path, trial, args.seed + number, lambda each, bar=bar: _told(each, bar))


def _told(frames, bar):
    for frame in frames:
        yield frame
        bar.update()


def show_errors(args: argparse.Namespace) -> str:
    total: dict[str, list] = {}
    apart: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    radii: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
    for number in tqdm(range(args.trials), unit="trial", disable=None):
        trial = trial_of(args, number)
        (found,) = read_tables(args.folder / f"{name_of(args, number)}.csv")
        report = analyse(found, GaitOptions(mm_per_px=trial.mm_per_px))
        for key, values in errors(trial, report).items():
            total.setdefault(key, []).extend(values)
        _collect_distances(trial, found, apart, radii)
    rows = {args.camera: {key: np.array(values, float) for key, values in total.items()}}
    return f"{table(rows)}\n\n{_noise_table(apart, radii, 1000 / args.length_px)}"


def _collect_distances(
    trial: MovingTrial,
    found: KeypointTable,
    apart: dict[str, list[np.ndarray]],
    radii: dict[str, list[np.ndarray]],
) -> None:
    """Add the (T, 2) distances of a trial's keypoints from the true ones, and the radii (T,)."""
    rows = np.searchsorted(trial.times_s, found.times_s - 1e-6)
    for column, name in enumerate(found.names):
        apart[name].append(found.xy[:, column] - trial.xy_px[rows, NAMES.index(name)])
        if found.radii is not None:
            radii[name].append(found.radii[:, column])


def _noise_table(
    apart: dict[str, list[np.ndarray]], radii: dict[str, list[np.ndarray]], scale: float
) -> str:
    """Rows of the keypoints: lasting and changing errors, px at 1,000 px of horse length."""
    columns = ("keypoint", "lasting, px", "SD, px", "median distance, px")
    columns += ("correlation of neighbouring frames", "in the radius, %")
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join(['---'] * len(columns))} |"]
    for name, trials in apart.items():
        if not trials:
            continue
        lasting = np.mean([np.linalg.norm(np.nanmedian(each, axis=0)) for each in trials])
        moved = [each - np.nanmedian(each, axis=0) for each in trials]
        sd = np.nanstd(np.concatenate(moved))
        alike = np.nanmean([np.nanmean(m[1:] * m[:-1]) / np.nanmean(m * m) for m in moved])
        distance = np.linalg.norm(np.concatenate(trials), axis=1)
        inside = "–"
        if radii[name]:
            inside = f"{100 * np.nanmean(distance <= np.concatenate(radii[name])):.0f}"
        lines.append(
            f"| {name} | {scale * lasting:.1f} | {scale * sd:.1f} "
            f"| {scale * np.nanmedian(distance):.1f} | {alike:.2f} | {inside} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("films", "errors"))
    parser.add_argument("folder", type=Path, help="of the films to write, or of the tables to read")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--strides", type=int, default=20)
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--length-px", type=int, default=600, help="of the horse")
    parser.add_argument("--camera", choices=CAMERAS, default="follows")
    parser.add_argument("--seed", type=int, default=REPORT_SEEDS)
    args = parser.parse_args(argv)
    if args.what == "films":
        write_films(args)
    else:
        print(show_errors(args))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
