"""Predictions on images: found, read, drawn and written."""

from __future__ import annotations

import glob
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from equikpt.apis.predictor import Predictor
from equikpt.core.image import each_image
from equikpt.core.image_decoding import is_dicom
from equikpt.data_tools.convert.images import IMAGE_SUFFIXES
from equikpt.structures.ground_truth import Gt, Labels
from equikpt.visualization.pose import contact_sheet
from equikpt.visualization.predictions import Look, draw
from equikpt_runtime.images import ImageError
from equikpt_runtime.instance import Instance
from equikpt_runtime.tracking import BoxSource

SHEET_CELL_PX = 420
"""Longest side of an image on a sheet."""
SHEET_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Shown:
    """Instances found in one image, and the drawing of them, (H, W, 3) uint8, BGR.

    An image that cannot be read has no drawing but a problem, a sentence with its path.
    """

    path: Path
    instances: list[Instance]
    drawn: np.ndarray | None
    problem: str = ""


def show(
    images: Sequence[Path],
    predictor: Predictor,
    boxes: BoxSource,
    look: Look,
    labels: Labels | None = None,
) -> Iterator[Shown]:
    """Predict and draw each image; one that cannot be read has a problem instead.

    At most ``predictor.batch_size`` images are in memory. ``labels`` are for ``look.gt``; an
    overlay needs a predictor with ``maps``.
    """

    def read_one(path: Path) -> tuple[np.ndarray, np.ndarray | None, Gt | None]:
        image = predictor.read(path)
        try:
            gt = labels.of(path) if labels is not None and look.gt else None
            return image, boxes(path, image), gt
        except ValueError as error:  # the labels do not know the image
            raise ImageError(str(error)) from error

    remaining = iter(images)
    while chunk := list(islice(remaining, predictor.batch_size)):
        read = list(each_image(chunk, read_one))
        found = predictor.stream(each[:2] for _, each, _ in read if each is not None)
        for path, each, problem in read:
            if each is None:
                yield Shown(path, [], None, f"{path}: {problem}")
                continue
            instances, (image, _, gt) = next(found), each
            yield Shown(path, instances, draw(image, instances, predictor.metainfo, look, gt))


def find_images(patterns: Sequence[str], folder: Path | None = None) -> list[Path]:
    """List the images of paths and globs, or of a folder, sorted by name.

    Args:
        patterns: Paths, which are taken as they are, and globs such as ``day1/*.jpg``.
        folder: Images directly in it, by suffix; DICOM files of any name. A warning counts those
            in its subfolders.

    Raises:
        FileNotFoundError: No such folder, or nothing in it or under a glob.
    """
    if folder is not None:
        if not folder.is_dir():
            raise FileNotFoundError(f"expected a folder of images at {folder}, found none")
        below = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES or is_dicom(path)
        )
        found = [path for path in below if path.parent == folder]
        left_out = len(below) - len(found)
        advice = f"; {left_out} in its subfolders: name them, as '{folder}/**/*.jpg'"
        if not found:
            raise FileNotFoundError(
                f"expected images ({', '.join(sorted(IMAGE_SUFFIXES))}) in {folder}, found none"
                f"{advice if left_out else ''}"
            )
        if left_out:
            print_log(f"{len(found)} images in {folder}{advice}", "current", logging.WARNING)
        return found
    paths: list[Path] = []
    for pattern in patterns:
        matches = [Path(pattern)] if Path(pattern).exists() or not glob.has_magic(pattern) else []
        matches = matches or [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
        if not matches:
            raise FileNotFoundError(f"expected images under {pattern}, found none")
        paths += matches
    return paths


def drawn_paths(images: Sequence[str | Path], folder: Path, content: str = "pose") -> list[Path]:
    """Name the files that drawings go to, ``horse_pose.jpg`` for ``horse.png``.

    Beside a ``horse.tif`` it is ``horse_png_pose.jpg``.

    Raises:
        ValueError: Two would be written to the same file.
    """
    given = [Path(image) for image in images]
    stems = Counter(image.stem for image in given)
    names = (each.stem if stems[each.stem] == 1 else each.name.replace(".", "_") for each in given)
    paths = [folder / f"{name}_{content}.jpg" for name in names]
    double = [path.name for path, count in Counter(paths).items() if count > 1]
    if double:
        raise ValueError(
            f"expected images of different names, got several that would be {double[0]}; give "
            "them to several calls, each with a folder of its own"
        )
    return paths


def sheet_cell(image: np.ndarray, panels: int = 1) -> np.ndarray:
    """Reduce an image of ``panels`` side by side to a cell, so that hundreds fit into memory."""
    scale = min(SHEET_CELL_PX / max(image.shape[0], image.shape[1] / panels), 1.0)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def sheet(cells: Sequence[tuple[np.ndarray, str]], panels: int = 1) -> np.ndarray:
    """Images of :func:`sheet_cell` with their captions, in cells that just hold the largest."""
    images, captions = zip(*cells, strict=True)
    height, width = np.max([image.shape[:2] for image in images], axis=0)
    columns = max(1, SHEET_COLUMNS // panels)
    return contact_sheet(images, columns, captions, (int(width), int(height)))
