"""A second look at ruler marks: one mark a sample, cut out of the radiograph around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from mmpose.registry import DATASETS

from equikpt.core.issues import format_examples
from equikpt.core.tables import text_of_cell
from equikpt.datasets.p1p2 import P1P2Dataset
from equikpt.metainfo.p1p2 import MARKS


def square_around(place: np.ndarray, side_px: float) -> np.ndarray:
    """Box (4,) left, top, right and bottom of a square with its centre at ``place`` (2,), in px."""
    place = np.asarray(place, np.float32)
    return np.concatenate([place - side_px / 2, place + side_px / 2]).astype(np.float32)


@DATASETS.register_module()
class RulerMarkDataset(P1P2Dataset):
    """The radiographs of :class:`P1P2Dataset` with a sample for each labelled mark.

    The box of a sample is a square around where its mark is believed to be, a fraction of the
    radiograph's height wide, so that a small input has the radiograph's own resolution. The other
    mark has visibility 0. ``mark`` in each sample is 0 for p1 and 1 for p2; ``RulerMetric`` puts
    both marks of a radiograph together again.

    Where a mark is believed to be:

    - with ``marks_file``, where a first model found it: the CSV that ``tools/test.py`` writes for a
      config of whole radiographs. This is the test of both stages.
    - without it, at its label, moved by up to ``offset_fraction`` of the square, always the same
      way. This is for validation while the second stage trains. Training moves it at random, by
      ``RandomBBoxTransform``.

    Args:
        crop_fraction: Side of the square as a fraction of the radiograph's height.
        marks_file: CSV with the columns ``radiograph``, ``p1_x``, ``p1_y``, ``p2_x`` and ``p2_y``.
        offset_fraction: Greatest offset from the label in test mode, as a fraction of the side.
        **kwargs: As :class:`P1P2Dataset`.

    Raises:
        FileNotFoundError: There is no such CSV, or as the base class.
        ValueError: A fraction out of its range, a CSV without these columns or without one of the
            radiographs, or as the base class.
    """

    def __init__(
        self,
        *args,
        crop_fraction: float = 0.128,
        marks_file: str | None = None,
        offset_fraction: float = 0.1,
        **kwargs,
    ) -> None:
        if not 0 < crop_fraction <= 1 or not 0 <= offset_fraction < 0.5:
            raise ValueError(
                "expected crop_fraction above 0 and up to 1 and offset_fraction from 0 to below "
                f"0.5, got {crop_fraction} and {offset_fraction}"
            )
        self.crop_fraction = crop_fraction
        self.offset_fraction = offset_fraction
        self._believed = None if marks_file is None else _read_marks(Path(marks_file))
        super().__init__(*args, **kwargs)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Instances, one a mark, and images."""
        radiographs, images = super()._load_annotations()
        if self._believed is not None:
            self._check_all_believed(radiographs)
        height_px = {image["img_id"]: image["height"] for image in images}
        marks = [
            self._sample(
                radiograph, int(mark), self.crop_fraction * height_px[radiograph["img_id"]]
            )
            for radiograph in radiographs
            for mark in np.flatnonzero(radiograph["keypoints_visible"][0])
        ]
        return marks, images

    def _sample(self, radiograph: dict, mark: int, side_px: float) -> dict:
        """One mark of a radiograph, as a sample of its own."""
        others = np.arange(len(MARKS)) != mark
        changes = dict(
            id=len(MARKS) * radiograph["id"] + mark,
            mark=mark,
            bbox=square_around(self._centre(radiograph, mark, side_px), side_px)[None],
        )
        for key in ("keypoints_visible", "keypoints_visibility"):
            changes[key] = radiograph[key].copy()
            changes[key][0, others] = 0
        return {**radiograph, **changes}

    def _centre(self, radiograph: dict, mark: int, side_px: float) -> np.ndarray:
        if self._believed is not None:
            return self._believed[Path(radiograph["img_path"]).name][mark]
        label = radiograph["keypoints"][0, mark]
        if not self.test_mode:
            return label
        rng = np.random.default_rng([radiograph["id"], mark])
        angle, share = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform())
        direction = np.array([np.cos(angle), np.sin(angle)])
        return label + direction * share * self.offset_fraction * side_px

    def _check_all_believed(self, radiographs: list[dict]) -> None:
        names = {Path(radiograph["img_path"]).name for radiograph in radiographs}
        absent = sorted(names - set(self._believed or ()))
        if absent:
            raise ValueError(
                f"expected every radiograph of {self.ann_file} in marks_file, {len(absent)} are "
                f"not ({format_examples(absent)}); test the first stage on the same radiographs"
            )


def _read_marks(path: Path) -> dict[str, np.ndarray]:
    """(2, 2) places of both marks by the radiograph's file name."""
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the radiographs of a first stage at {path}, found no such file; "
            "tools/test.py --report writes it"
        )
    columns = [f"{mark}_{axis}" for mark in MARKS for axis in "xy"]
    table = pd.read_csv(path)
    lacking = {"radiograph", *columns} - set(table.columns)
    if lacking:
        raise ValueError(
            f"expected the columns radiograph, {', '.join(columns)} in {path}, "
            f"{', '.join(lacking)} are not there; give the CSV of tools/test.py --report"
        )
    places = table[columns].to_numpy(float).reshape(-1, len(MARKS), 2)
    return dict(zip(table["radiograph"].astype(str).map(text_of_cell), places, strict=True))
