"""Find ruler marks on radiographs that were turned, scaled, darkened, noised or cropped.

    python benchmarks/ruler_robustness.py --data-root DIR --checkpoint FIRST.pth --refine SECOND.pth

Each validation radiograph is tested as it is and in each changed form; changes are drawn from
--seed and the radiograph's number, so that every model meets the same radiographs. Two controls
look at no image: the mean position of the training labels (in fractions of the radiograph), and,
since all rulers of one scanner are equally long, the first look's middle of the ruler with the mean
length of the training labels. The first must do far worse. The second has no scale error on the
unchanged radiographs of one scanner, and is wrong by as much as a radiograph was scaled: a model
that had learnt the length by heart would be.
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
from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.p1p2 import P1P2Dataset
from equikpt.evaluation.functional.ruler_errors import (
    failures,
    order_swaps,
    radial_errors,
    scale_errors,
)
from equikpt_runtime.files import write_text

HEIGHT_PX = 768  # errors are given at this height of the unchanged radiograph
Changed = tuple[np.ndarray, np.ndarray]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of the first stage")
    parser.add_argument("--config", default="td-hm_efficientnet-lite0_p1p2-512x512")
    parser.add_argument("--refine", type=Path, help="checkpoint of the second stage")
    parser.add_argument("--refine-config", default="td-hm_efficientnet-lite0_p1p2-refine-192x192")
    parser.add_argument("--films", type=int, help="test on the first so many (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write the errors of each radiograph as CSV")
    return parser.parse_args(argv)


def mapped(radiograph: np.ndarray, marks: np.ndarray, matrix: np.ndarray) -> Changed:
    """A radiograph and its marks (2, 2) under a (2, 3) map, on a canvas of its size."""
    size = radiograph.shape[1], radiograph.shape[0]
    return cv2.warpAffine(radiograph, matrix, size), marks @ matrix[:, :2].T + matrix[:, 2]


def as_it_is(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    return radiograph, marks


def turned(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    """By up to 10° around the ruler, which stays on the radiograph."""
    middle = tuple(marks.mean(axis=0))
    return mapped(radiograph, marks, cv2.getRotationMatrix2D(middle, rng.uniform(-10, 10), 1.0))


def scaled(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    """By 0.8 to 1.25 around the ruler."""
    middle = tuple(marks.mean(axis=0))
    return mapped(radiograph, marks, cv2.getRotationMatrix2D(middle, 0, rng.uniform(0.8, 1.25)))


def darkened(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    """To 0.35 to 0.7 of the brightness."""
    return np.rint(radiograph * rng.uniform(0.35, 0.7)).astype(np.uint8), marks


def noised(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    """By Gaussian noise of 10 to 20 gray values."""
    noise = rng.normal(0, rng.uniform(10, 20), radiograph.shape[:2])[..., None]
    return np.clip(np.rint(radiograph + noise), 0, 255).astype(np.uint8), marks


def cropped(rng: np.random.Generator, radiograph: np.ndarray, marks: np.ndarray) -> Changed:
    """By 5 to 15 % of its width on the side away from the ruler."""
    width = radiograph.shape[1]
    gone = round(rng.uniform(0.05, 0.15) * width)
    if marks[:, 0].mean() < width / 2:
        return np.ascontiguousarray(radiograph[:, : width - gone]), marks
    return np.ascontiguousarray(radiograph[:, gone:]), marks - [gone, 0]


CHANGES: tuple[Callable[[np.random.Generator, np.ndarray, np.ndarray], Changed], ...] = (
    as_it_is, turned, scaled, darkened, noised, cropped,
)  # fmt: skip


def labelled_radiographs(root: Path, split: str) -> list[tuple[Path, np.ndarray]]:
    """Path and (2, 2) marks in px of each radiograph that has both."""
    radiographs = P1P2Dataset(
        ann_file=str(root / f"annotations_p1_p2_{split}.json"),
        data_prefix=dict(img=str(root / "images")),
        pipeline=[],
        check_images="none",
    )
    return [
        (Path(radiograph["img_path"]), radiograph["keypoints"][0].astype(float))
        for radiograph in radiographs
        if radiograph["keypoints_visible"].all()
    ]


def with_length(marks: np.ndarray, length_px: float) -> np.ndarray:
    """The marks moved along their line to a given distance around their middle."""
    middle, along = marks.mean(axis=0), marks[1] - marks[0]
    half = along / np.linalg.norm(along) * length_px / 2
    return np.stack([middle - half, middle + half])


def predictions(args: argparse.Namespace) -> Iterator[dict]:
    """Rows with way, change, radiograph, its height, ground truth and prediction (2, 2)."""
    finder = RulerFinder.load(
        load_config(args.config),
        args.checkpoint,
        load_config(args.refine_config) if args.refine else None,
        args.refine,
        args.device,
    )
    trained_on = labelled_radiographs(args.data_root, "train")
    sizes = [read_radiograph(path).shape[1::-1] for path, _ in trained_on]
    mean_position = np.mean(
        [marks / size for (_, marks), size in zip(trained_on, sizes, strict=True)], 0
    )
    mean_length = np.mean(
        [
            np.linalg.norm(marks[1] - marks[0]) / size[1]
            for (_, marks), size in zip(trained_on, sizes, strict=True)
        ]
    )
    radiographs = labelled_radiographs(args.data_root, "val")[: args.films]
    for number, (path, marks) in enumerate(tqdm(radiographs, unit="radiograph", disable=None)):
        original = read_radiograph(path)
        for kind, change in enumerate(CHANGES):
            rng = np.random.default_rng([args.seed, number, kind])
            radiograph, gt = change(rng, original, marks)
            size = radiograph.shape[1::-1]
            marks_found, scores = finder.detect(radiograph)
            found = {"whole radiograph": marks_found, "mean position": mean_position * size}
            found["known length"] = with_length(found["whole radiograph"], mean_length * size[1])
            if finder.fine:
                found["refined"] = finder.refine(radiograph, marks_found, scores)[0]
            for way, predicted in found.items():
                yield dict(
                    way=way, change=change.__name__, radiograph=path.name,
                    height_px=original.shape[0], predicted=predicted, gt=gt,
                )  # fmt: skip


def errors(rows: list[dict]) -> pd.DataFrame:
    """One row a radiograph, way and change."""
    predicted = np.stack([row["predicted"] for row in rows])
    gt = np.stack([row["gt"] for row in rows])
    heights = np.array([row["height_px"] for row in rows])
    radial = radial_errors(predicted, gt) * (HEIGHT_PX / heights)[:, None]
    return pd.DataFrame(
        dict(
            way=[row["way"] for row in rows],
            change=[row["change"] for row in rows],
            radiograph=[row["radiograph"] for row in rows],
            p1_error_px=radial[:, 0],
            p2_error_px=radial[:, 1],
            scale_error_percent=100 * scale_errors(predicted, gt),
            swapped=order_swaps(predicted, gt),
            failed=failures(predicted, gt),
        )
    )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a way and change."""
    table = table.assign(error_px=table[["p1_error_px", "p2_error_px"]].mean(axis=1))
    groups = table.groupby(["way", "change"], sort=False)
    scale = groups["scale_error_percent"]
    return pd.DataFrame(
        {
            "radiographs": groups.size(),
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
