"""Boxes that stand in a file: of COCO, or a csv as this package writes it."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from equikpt_runtime.boxes import checked_boxes
from equikpt_runtime.cells import text_of_cell
from equikpt_runtime.images import ImageError

SIDES = ("left_px", "top_px", "right_px", "bottom_px")


class GivenBoxes:
    """Boxes (N, 4) of images, by their names, and of the frames of a video, by their numbers.

    Args:
        path: ``.json`` of COCO with ``images`` and ``annotations``, or ``.csv`` with the columns
            ``image``, ``left_px``, ``top_px``, ``right_px`` and ``bottom_px``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: None of both, or one without boxes.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in (".json", ".csv"):
            raise ValueError(f"expected boxes in a .json or .csv file, got {path}")
        if not path.is_file():
            raise FileNotFoundError(f"expected boxes at {path}, found no such file")
        self.path = path
        found: dict[str, list] = defaultdict(list)
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = _of_csv(csv.DictReader(file)) if path.suffix.lower() == ".csv" else None
                for image, box in rows or _of_coco(json.load(file)):
                    if box is None:
                        found[image] = found[image]
                    elif box not in found[image]:  # our own csv has a row a keypoint
                        found[image].append(box)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected COCO's images and annotations, or the columns image, {', '.join(SIDES)} "
                f"in {path}, it cannot be read so ({error!r})"
            ) from error
        if not found:
            raise ValueError(f"expected boxes in {path}, it holds none")
        self._boxes = {name: np.reshape(boxes, (-1, 4)) for name, boxes in found.items()}

    def of_image(self, path: Path, image: np.ndarray) -> np.ndarray:
        """Return the boxes of an image (H, W, 3): by its path or, else, its name.

        Raises:
            ImageError: The file does not know it, or has boxes beside it.
        """
        for name in (str(path), path.name):
            if name in self._boxes:
                try:
                    return checked_boxes(image, self._boxes[name])
                except ValueError as error:
                    raise ImageError(f"{self.path}: {error}") from error
        reason = f"of which {self.path} has no boxes"
        raise ImageError.of(path, reason, "add them, or leave the image out")

    @property
    def has_frames(self) -> bool:
        """True where the file names at least one frame by its number."""
        return any(map(str.isdecimal, self._boxes))

    def of_frame(self, number: int) -> np.ndarray:
        """Return the boxes of a frame, from 0; none where the file does not name it."""
        return self._boxes.get(str(number), np.zeros((0, 4)))


def _of_csv(rows: Any) -> Iterator[tuple[str, list[float]]]:
    for row in rows:
        yield text_of_cell(row["image"]), [float(row[side]) for side in SIDES]


def _of_coco(content: Mapping[str, Any]) -> Iterator[tuple[str, list[float] | None]]:
    names = {row["id"]: str(row["file_name"]) for row in content["images"]}
    for name in names.values():
        yield name, None
    for row in content["annotations"]:
        left, top, width, height = (float(value) for value in row["bbox"])
        yield names[row["image_id"]], [left, top, left + width, top + height]
