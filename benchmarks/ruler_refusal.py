"""Draw rulers of other kinds into radiographs, and count the scales that are given nevertheless.

    python benchmarks/ruler_refusal.py --data-root DIR --checkpoint FIRST.pth --refine SECOND.pth

The ruler of a radiograph is erased, with or without its holder, and one of another kind is drawn in
its place or elsewhere, in a random size, direction and contrast. No such radiograph has a ruler
that the model knows, so each scale is wrong. The rule that refuses is learnt from the labels of the
training radiographs; its constants were chosen on the kinds of ``CHOSEN_ON`` in training
radiographs. Those of ``KEPT``, and all validation radiographs, had no part in that. Untouched and
changed validation radiographs say how many are refused in error. --cache keeps what the networks
found, which takes nearly all of the time.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from ruler_robustness import CHANGES, as_it_is, labelled_radiographs, noised
from tqdm import tqdm

from equikpt.apis.ruler import RulerFinder, judge
from equikpt.apis.ruler_look import plausible_from
from equikpt.cli.launch import load_config
from equikpt.core.radiograph import read_radiograph
from equikpt.core.ruler_strip import fit_templates, read_ticks
from equikpt.data_tools.near_duplicates import near_pairs, read_fingerprints
from equikpt_runtime.files import write_text

OVERSAMPLING = 4
WRONG = 0.04
"""Relative error from which the scale of a drawn ruler is off."""


class Shape(NamedTuple):
    """A rectangle, or the ellipse in it, in mm; y runs along the ruler."""

    left: float
    low: float
    right: float
    high: float
    level: float = 1.0
    is_round: bool = False


Kind = Callable[[np.random.Generator], list[Shape]]


def ticks(length: float, step: float, widths: dict[int, float], thick: float) -> list[Shape]:
    """Lines every ``step`` mm to the right of x = 0; every n-th is ``widths[n]`` mm wide."""
    lines = []
    for number in range(round(length / step) + 1):
        width = next(width for every, width in widths.items() if number % every == 0)
        middle = number * step
        lines.append(Shape(0, middle - thick / 2, width, middle + thick / 2))
    return lines


def mm_scale(rng: np.random.Generator) -> list[Shape]:
    length, width = rng.uniform(25, 80), rng.uniform(2, 5)
    lines = ticks(length, 1.0, {1: width}, rng.uniform(0.3, 0.5))
    return [*lines, *([Shape(-0.5, 0, 0, length)] if rng.random() < 0.5 else [])]


def mm_scale_5_10(rng: np.random.Generator) -> list[Shape]:
    length, width = 10.0 * rng.integers(3, 9), rng.uniform(1.5, 3)
    widths = {10: 3 * width, 5: 2 * width, 1: width}
    lines = ticks(length, 1.0, widths, rng.uniform(0.3, 0.5))
    return [*lines, *([Shape(-0.5, 0, 0, length)] if rng.random() < 0.7 else [])]


def two_marks(rng: np.random.Generator) -> list[Shape]:
    length, width = rng.choice([10.0, 30.0, 40.0, 50.0]), rng.uniform(3, 8)
    return ticks(length, length, {1: width}, rng.uniform(0.6, 1.5))


def beads(rng: np.random.Generator) -> list[Shape]:
    step, radius = rng.choice([5.0, 10.0]), rng.uniform(0.7, 1.8)
    middles = step * np.arange(rng.integers(4, 9))
    return [Shape(-radius, y - radius, radius, y + radius, is_round=True) for y in middles]


def comb(rng: np.random.Generator) -> list[Shape]:
    """As the ruler of the radiographs, with other teeth."""
    step, count = rng.choice([1.0, 2.5, 5.0]), rng.integers(6, 26)
    length = min(step * count, 60.0)
    teeth = ticks(length, step, {1: rng.uniform(2, 4)}, step / 2)
    return [*teeth, Shape(-rng.uniform(1, 3), 0, 0, length)]


def crosses(rng: np.random.Generator) -> list[Shape]:
    length, arm, half = rng.choice([10.0, 30.0, 40.0, 50.0]), rng.uniform(2, 4), rng.uniform(0.4, 1)
    upright = [Shape(-half, y - arm, half, y + arm) for y in (0, length)]
    return [*upright, *(Shape(-arm, y - half, arm, y + half) for y in (0, length))]


def scale_bar(rng: np.random.Generator) -> list[Shape]:
    length, half = rng.choice([10.0, 30.0, 50.0]), rng.uniform(0.4, 2)
    caps = [Shape(-2 * half, y - 0.4, 2 * half, y + 0.4) for y in (0, length)]
    return [Shape(-half, 0, half, length), *(caps if rng.random() < 0.5 else [])]


def nothing(rng: np.random.Generator) -> list[Shape]:
    return []


def checker_bar(rng: np.random.Generator) -> list[Shape]:
    """Alternating fields in one or two columns, or a wedge of steps."""
    step, count, width = rng.choice([2.0, 5.0, 10.0]), rng.integers(5, 12), rng.uniform(2, 6)
    kind = rng.choice(["one", "two", "wedge"])
    levels = {"one": lambda y: (y + 1) % 2, "two": lambda y: y % 2, "wedge": lambda y: y / count}
    column = [
        Shape(0, step * y, width, step * (y + 1), float(levels[kind](y))) for y in range(count)
    ]
    beside = [
        Shape(-width, each.low, 0, each.high, 1 - each.level) for each in column if kind == "two"
    ]
    return [each for each in [*column, *beside] if each.level]


def l_shape(rng: np.random.Generator) -> list[Shape]:
    """Two limbs at a right angle with a line every millimetre and longer ones."""
    length, width = 10.0 * rng.integers(2, 7), rng.uniform(1.5, 3)
    upright = ticks(length, 1.0, {10: 3 * width, 5: 2 * width, 1: width}, rng.uniform(0.3, 0.5))
    limb = [Shape(each.low, each.left, each.high, each.right) for each in upright]
    return [*upright, *limb, Shape(-1, -1, 0, length), Shape(-1, -1, length, 0)]


CHOSEN_ON: tuple[Kind, ...] = (
    nothing, mm_scale, mm_scale_5_10, two_marks, beads, comb, crosses, scale_bar,
)  # fmt: skip
KEPT: tuple[Kind, ...] = (checker_bar, l_shape)


def erased(rng: np.random.Generator, gray: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The radiograph without its ruler; half of them keep rod and holder."""
    length = float(np.hypot(*(marks[1] - marks[0])))
    left, right = marks[:, 0].min(), marks[:, 0].max()
    low, high = marks[0, 1], marks[1, 1]
    if rng.random() < 0.5:
        box = left - 0.16 * length, high - 0.1 * length, right + 0.16 * length, low + 0.1 * length
    else:
        box = left - 1.0 * length, 0.0, right + 0.5 * length, low + 0.7 * length
    height, width = gray.shape
    x0, x1 = np.clip(np.rint([box[0], box[2]]).astype(int), 1, width - 2)
    y0, y1 = np.clip(np.rint([box[1], box[3]]).astype(int), 1, height - 2)
    filled = cv2.GaussianBlur(gray, (0, 0), 3).astype(np.float32)
    across = np.linspace(0, 1, x1 - x0, dtype=np.float32)
    rows = filled[y0:y1, x0 - 1, None] * (1 - across) + filled[y0:y1, x1 + 1, None] * across
    grain = rng.normal(0, 1.5, rows.shape)
    result = gray.copy()
    result[y0:y1, x0:x1] = np.clip(np.rint(rows + grain), 0, 255)
    return result


def mask_of(shapes: list[Shape], px_per_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Levels on a finer grid, with the place of 0, 0 mm in it, px of that grid."""
    unit = OVERSAMPLING * px_per_mm
    corners = np.array([[each.left, each.low, each.right, each.high] for each in shapes])
    low, high = corners[:, :2].min(0) - 2, corners[:, 2:].max(0) + 2
    size = np.ceil((high - low) * unit).astype(int)
    mask = np.zeros((size[1], size[0]), np.float32)
    for each in shapes:
        x0, y0, x1, y1 = np.rint((np.array(each[:4]) - [*low, *low]) * unit).astype(int)
        if each.is_round:
            middle, half = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
            cv2.ellipse(mask, middle, half, 0, 0, 360, each.level, -1)
        else:
            cv2.rectangle(mask, (x0, y0), (x1, y1), each.level, -1)
    return mask, -low * unit


def with_ruler(
    rng: np.random.Generator, gray: np.ndarray, marks: np.ndarray, kind: Kind, ruler_mm: float
) -> tuple[np.ndarray, float]:
    """The radiograph with a ruler of another kind, and that ruler's mm per px.

    Args:
        rng: Of this radiograph and kind.
        gray: (H, W) uint8.
        marks: (2, 2) of the radiograph's own ruler, px.
        kind: Drawn at 0.65 to 1.5 times the radiograph's own px per mm.
        ruler_mm: Distance of the marks.
    """
    result = erased(rng, gray, marks).astype(np.float32)
    along = marks[1] - marks[0]
    px_per_mm = np.hypot(*along) / ruler_mm * np.exp(rng.uniform(np.log(0.65), np.log(1.5)))
    shapes = kind(rng)
    if not shapes:
        return gray_image(result), float("nan")
    mask, origin = mask_of(shapes, px_per_mm)
    height, width = gray.shape
    middle = marks.mean(axis=0)
    if rng.random() < 0.5:
        middle = np.array([rng.uniform(0.7, 0.93) * width, rng.uniform(0.2, 0.7) * height])
    angle = np.arctan2(along[1], along[0]) + np.radians(rng.normal(0, 3))
    up = np.array([np.cos(angle), np.sin(angle)]) / OVERSAMPLING
    aside = np.array([-up[1], up[0]]) * rng.choice([-1, 1])
    centre = np.array(mask.shape[::-1]) / 2
    matrix = np.column_stack([aside, up, middle - centre[0] * aside - centre[1] * up])
    softened = cv2.GaussianBlur(mask, (0, 0), OVERSAMPLING * rng.uniform(0.4, 0.9))
    placed = cv2.warpAffine(softened, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = placed > 0.02
    ground = float(np.median(result[inside])) if inside.any() else 0.0
    bright = np.clip(ground + rng.uniform(40, 150), 0, 255)
    result += (bright - result) * placed * rng.uniform(0.7, 1.0)
    return gray_image(result), 1 / px_per_mm


def gray_image(values: np.ndarray) -> np.ndarray:
    """Three equal channels of uint8."""
    return cv2.merge([np.clip(np.rint(values), 0, 255).astype(np.uint8)] * 3)


class Case(NamedTuple):
    """One radiograph to be calibrated.

    Args:
        split: Of its films.
        film: Its file's name.
        group: The kind of ruler that was drawn, or the change of the radiograph.
        radiograph: (H, W, 3) uint8.
        mm_per_px: Of its ruler; nan without one.
        is_known: The ruler is of the kind that the model knows.
    """

    split: str
    film: str
    group: str
    radiograph: np.ndarray
    mm_per_px: float
    is_known: bool


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of the coarse stage")
    parser.add_argument("--config", default="td-hm_efficientnet-lite0_p1p2-512x512")
    parser.add_argument("--refine", type=Path, help="checkpoint of the refine stage")
    parser.add_argument("--refine-config", default="td-hm_efficientnet-lite0_p1p2-refine-192x192")
    parser.add_argument("--ruler-mm", type=float, default=20.6)
    parser.add_argument("--split", choices=("train", "val"), help="this one alone")
    parser.add_argument("--films", type=int, help="the first so many of each split (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, help="CSV of what the networks found")
    parser.add_argument("--out", type=Path, help="write a row a case as CSV")
    return parser.parse_args(argv)


def cases_of(split: str, number: int, path: Path, marks: np.ndarray, args) -> Iterator[Case]:
    """A radiograph as it is, changed in one way, and with rulers of other kinds, in turns."""
    original = read_radiograph(path)
    changed = CHANGES[1 + number % (len(CHANGES) - 1)] if split == "val" else noised
    for change in (as_it_is, changed):
        rng = np.random.default_rng([args.seed, number, CHANGES.index(change)])
        radiograph, moved = change(rng, original, marks)
        scale = args.ruler_mm / float(np.hypot(*(moved[1] - moved[0])))
        yield Case(split, path.name, change.__name__, radiograph, scale, True)
    turns = [CHOSEN_ON[(2 * number + turn) % len(CHOSEN_ON)] for turn in range(2)]
    for draw in [*turns, *(KEPT if split == "val" else ())]:
        kind = 100 + [*CHOSEN_ON, *KEPT].index(draw)
        rng = np.random.default_rng([args.seed, number, kind])
        gray = np.ascontiguousarray(original[..., 0])
        radiograph, scale = with_ruler(rng, gray, marks, draw, args.ruler_mm)
        yield Case(split, path.name, draw.__name__, radiograph, scale, False)


def all_cases(args: argparse.Namespace) -> Iterator[Case]:
    """Cases of the training radiographs, and of validation ones that are no copies of those."""
    films = {split: labelled_radiographs(args.data_root, split) for split in ("train", "val")}
    paths = [path for split in films.values() for path, _ in split]
    trained_on = len(films["train"])
    copies = {
        paths[pair.second]
        for pair in near_pairs(read_fingerprints(paths))
        if pair.first < trained_on <= pair.second
    }
    for split in [args.split] if args.split else films:
        labelled = films[split]
        shown = tqdm(labelled[: args.films], desc=split, unit="radiograph", disable=None)
        for number, (path, marks) in enumerate(shown):
            if path not in copies:
                yield from cases_of(split, number, path, marks, args)


class Remembered:
    """Marks and scores of each stage, computed once a case.

    Args:
        finder: Built where something is not remembered.
        path: CSV; None remembers nothing.
    """

    def __init__(self, finder: Callable[[], RulerFinder], path: Path | None) -> None:
        self.build, self.path, self.finder = finder, path, None
        self.known: dict[tuple[str, str], np.ndarray] = {}
        if path and path.is_file():
            table = pd.read_csv(path)
            values = table[[f"v{number}" for number in range(12)]].to_numpy()
            names = zip(table["film"], table["group"], strict=True)
            self.known = dict(zip(names, values, strict=True))

    def __call__(self, case: Case) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Marks (2, 2) and scores (2,) by stage."""
        key = (case.film, case.group)
        if key not in self.known:
            self.finder = self.finder or self.build()
            marks, scores = self.finder.detect(case.radiograph)
            refined = marks, scores
            if self.finder.fine:
                refined = self.finder.refine(case.radiograph, marks, scores)
            self.known[key] = np.concatenate([np.ravel(each) for each in (marks, scores, *refined)])
        values = self.known[key]
        return {
            "coarse": (values[:4].reshape(2, 2), values[4:6]),
            "refined": (values[6:10].reshape(2, 2), values[10:12]),
        }

    def save(self) -> None:
        """Write the CSV anew."""
        if self.path:
            rows = [
                dict(film=film, group=group, **{f"v{n}": value for n, value in enumerate(values)})
                for (film, group), values in self.known.items()
            ]
            write_text(self.path, pd.DataFrame(rows).to_csv(index=False))


def rows_of(args: argparse.Namespace) -> Iterator[dict]:
    """A row a case and stage, with the verdict without and with the look of the ruler."""
    plausible = plausible_from(
        args.data_root / "annotations_p1_p2_train.json", args.data_root / "images", score=0.3
    )
    look = plausible.look
    if look is None:
        raise ValueError("expected labelled rulers with a look, got none; give --data-root others")

    def build() -> RulerFinder:
        return RulerFinder.load(
            load_config(args.config),
            args.checkpoint,
            load_config(args.refine_config) if args.refine else None,
            args.refine,
            args.device,
        )

    found_in = Remembered(build, args.cache)
    try:
        for case in all_cases(args):
            gray = np.ascontiguousarray(case.radiograph[..., 0])
            for stage, (marks, scores) in found_in(case).items():
                if stage == "refined" and not args.refine:
                    continue
                given = (case.film, marks, scores, len(gray), args.ruler_mm)
                before = judge(*given, replace(plausible, look=None))
                after = judge(*given, plausible, gray=gray) if before.mm_per_px else before
                fit, ticks = fit_templates(gray, marks, look.templates), read_ticks(gray, marks)
                yield dict(
                    split=case.split, film=case.film, group=case.group, is_known=case.is_known,
                    stage=stage, mm_per_px=case.mm_per_px, found=args.ruler_mm / after.distance_px,
                    before=not before.refused, after=not after.refused, refused=after.refused,
                    likeness=fit.likeness, least=fit.least, stretch=fit.stretch,
                    ticks=ticks.spacings, strength=ticks.strength,
                )  # fmt: skip
    finally:
        found_in.save()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a group: scales given without and with the look, and how many of them are off."""
    error = (table["found"] / table["mm_per_px"] - 1).abs()
    table = table.assign(error=error, off=~(error <= WRONG))
    rows = []
    for (stage, group), part in table.groupby(["stage", "group"], sort=False):
        given = part[part["after"]]
        rows.append(
            {
                "stage": stage,
                "group": group,
                "radiographs": len(part),
                "given before %": 100 * part["before"].mean(),
                "given and off before %": 100 * (part["before"] & part["off"]).mean(),
                "given %": 100 * part["after"].mean(),
                "given and off %": 100 * (part["after"] & part["off"]).mean(),
                "scale error %, 99th percentile": 100 * given["error"].quantile(0.99),
            }
        )
    return pd.DataFrame(rows)


def limits(table: pd.DataFrame) -> pd.DataFrame:
    """Scales given at several limits of likeness, the other rules as they are not counted."""
    table = table[table["before"]]
    known, other = table[table["is_known"]], table[~table["is_known"]]
    return pd.DataFrame(
        {
            "min likeness": limit,
            "known rulers refused %": 100 * (known["likeness"] < limit).mean(),
            "other rulers given %": 100 * (other["likeness"] >= limit).mean(),
        }
        for limit in np.arange(0.3, 0.85, 0.05)
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    table = pd.DataFrame(rows_of(args))
    if args.out:
        write_text(args.out, table.to_csv(index=False, float_format="%.6g"))
    for split, part in table.groupby("split", sort=False):
        print(f"\n{split}")
        print(summary(part).to_string(index=False, float_format="%.2f"))
        if split == "train":
            print(limits(part).to_string(index=False, float_format="%.2f"))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
