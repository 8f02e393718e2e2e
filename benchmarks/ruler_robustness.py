"""How well ruler marks are found on films that were turned, scaled, darkened, noised or cropped.

    python benchmarks/ruler_robustness.py --data-root DIR --checkpoint FIRST.pth --refine SECOND.pth

Each validation film is tested as it is and in each changed form; changes are drawn from --seed and
the film's number, so that every model meets the same films. Two controls look at no picture: the
mean place of the training labels (in fractions of the film), and, since all rulers of one scanner
are equally long, the first look's middle of the ruler with the mean length of the training labels.
The first must do far worse. The second has no scale error on the unchanged films of one scanner,
and is wrong by as much as a film was scaled: a model that had learnt the length by heart would be.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from equikpt.apis.ruler import RulerFinder
from equikpt.cli.launch import load_config
from equikpt.core.files import write_text
from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.p1p2 import P1P2Dataset
from equikpt.evaluation.functional.ruler_errors import (
    failures,
    order_swaps,
    radial_errors,
    scale_errors,
)

HEIGHT_PX = 768  # errors are given at this height of the unchanged film
Changed = tuple[np.ndarray, np.ndarray]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of the first stage")
    parser.add_argument("--config", default="p1p2_timm_512")
    parser.add_argument("--refine", type=Path, help="checkpoint of the second stage")
    parser.add_argument("--refine-config", default="p1p2_timm_refine")
    parser.add_argument("--films", type=int, help="test on the first so many (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the errors of each film as CSV")
    return parser.parse_args(argv)


def mapped(film: np.ndarray, marks: np.ndarray, matrix: np.ndarray) -> Changed:
    """A film and its marks (2, 2) under a (2, 3) map, on a canvas of the film's size."""
    size = film.shape[1], film.shape[0]
    return cv2.warpAffine(film, matrix, size), marks @ matrix[:, :2].T + matrix[:, 2]


def as_it_is(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    return film, marks


def turned(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    """By up to 10° around the ruler, which stays on the film."""
    middle = tuple(marks.mean(axis=0))
    return mapped(film, marks, cv2.getRotationMatrix2D(middle, rng.uniform(-10, 10), 1.0))


def scaled(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    """By 0.8 to 1.25 around the ruler."""
    middle = tuple(marks.mean(axis=0))
    return mapped(film, marks, cv2.getRotationMatrix2D(middle, 0, rng.uniform(0.8, 1.25)))


def darkened(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    """To 0.35 to 0.7 of the brightness."""
    return np.rint(film * rng.uniform(0.35, 0.7)).astype(np.uint8), marks


def noised(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    """By Gaussian noise of 10 to 20 gray values."""
    noise = rng.normal(0, rng.uniform(10, 20), film.shape[:2])[..., None]
    return np.clip(np.rint(film + noise), 0, 255).astype(np.uint8), marks


def cropped(rng: np.random.Generator, film: np.ndarray, marks: np.ndarray) -> Changed:
    """By 5 to 15 % of its width on the side away from the ruler."""
    width = film.shape[1]
    gone = round(rng.uniform(0.05, 0.15) * width)
    if marks[:, 0].mean() < width / 2:
        return np.ascontiguousarray(film[:, : width - gone]), marks
    return np.ascontiguousarray(film[:, gone:]), marks - [gone, 0]


CHANGES: tuple[Callable[[np.random.Generator, np.ndarray, np.ndarray], Changed], ...] = (
    as_it_is, turned, scaled, darkened, noised, cropped,
)  # fmt: skip


def labelled_films(root: Path, split: str) -> list[tuple[Path, np.ndarray]]:
    """Path and (2, 2) marks in px of each film that has both."""
    films = P1P2Dataset(
        ann_file=str(root / f"annotations_p1_p2_{split}.json"),
        data_prefix=dict(img=str(root / "images")),
        pipeline=[],
        check_images="none",
    )
    return [
        (Path(film["img_path"]), film["keypoints"][0].astype(float))
        for film in films
        if film["keypoints_visible"].all()
    ]


def with_length(marks: np.ndarray, length_px: float) -> np.ndarray:
    """The marks moved along their line to a given distance around their middle."""
    middle, along = marks.mean(axis=0), marks[1] - marks[0]
    half = along / np.linalg.norm(along) * length_px / 2
    return np.stack([middle - half, middle + half])


def predictions(args: argparse.Namespace) -> Iterator[dict]:
    """Rows with the way, the change, the film, its height, truth and prediction (2, 2)."""
    finder = RulerFinder.load(
        load_config(args.config),
        args.checkpoint,
        load_config(args.refine_config) if args.refine else None,
        args.refine,
        args.device,
    )
    trained_on = labelled_films(args.data_root, "train")
    sizes = [read_radiograph(path).shape[1::-1] for path, _ in trained_on]
    mean_place = np.mean(
        [marks / size for (_, marks), size in zip(trained_on, sizes, strict=True)], 0
    )
    mean_length = np.mean(
        [
            np.linalg.norm(marks[1] - marks[0]) / size[1]
            for (_, marks), size in zip(trained_on, sizes, strict=True)
        ]
    )
    films = labelled_films(args.data_root, "val")[: args.films]
    for number, (path, marks) in enumerate(tqdm(films, unit="film", disable=None)):
        original = read_radiograph(path)
        for kind, change in enumerate(CHANGES):
            rng = np.random.default_rng([args.seed, number, kind])
            film, truth = change(rng, original, marks)
            size = film.shape[1::-1]
            marks_found, scores = finder.look(film)
            found = {"whole film": marks_found, "mean place": mean_place * size}
            found["known length"] = with_length(found["whole film"], mean_length * size[1])
            if finder.close:
                found["refined"] = finder.look_again(film, marks_found, scores)[0]
            for way, predicted in found.items():
                yield dict(
                    way=way, change=change.__name__, film=path.name, height_px=original.shape[0],
                    predicted=predicted, truth=truth,
                )  # fmt: skip


def errors(rows: list[dict]) -> pd.DataFrame:
    """One row a film, way and change."""
    predicted = np.stack([row["predicted"] for row in rows])
    truth = np.stack([row["truth"] for row in rows])
    heights = np.array([row["height_px"] for row in rows])
    radial = radial_errors(predicted, truth) * (HEIGHT_PX / heights)[:, None]
    return pd.DataFrame(
        dict(
            way=[row["way"] for row in rows],
            change=[row["change"] for row in rows],
            film=[row["film"] for row in rows],
            p1_error_px=radial[:, 0],
            p2_error_px=radial[:, 1],
            scale_error_percent=100 * scale_errors(predicted, truth),
            swapped=order_swaps(predicted, truth),
            failed=failures(predicted, truth),
        )
    )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a way and change."""
    table = table.assign(error_px=table[["p1_error_px", "p2_error_px"]].mean(axis=1))
    groups = table.groupby(["way", "change"], sort=False)
    scale = groups["scale_error_percent"]
    return pd.DataFrame(
        {
            "films": groups.size(),
            f"mean error, px at {HEIGHT_PX}": groups["error_px"].mean(),
            "scale error %, median": scale.median(),
            "95th percentile": scale.quantile(0.95),
            "swapped": groups["swapped"].sum(),
            "failed": groups["failed"].sum(),
        }
    )


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    table = errors(list(predictions(args)))
    if args.out:
        write_text(args.out, table.to_csv(index=False, float_format="%.6g"))
    shown = summary(table).reset_index().sort_values("way", kind="stable")
    print(shown.to_string(index=False, float_format="%.2f"))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
