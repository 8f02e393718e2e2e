"""Cephalograms with two ruler marks, in Label Studio's JSON or in COCO JSON, whole or cropped."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from mmengine.logging import MMLogger
from mmpose.registry import DATASETS

from equikpt.core.image_checks import loaded_size_px
from equikpt.core.issues import format_examples
from equikpt.core.label_studio import Task, is_list, read_tasks
from equikpt.core.radiograph import dicom_spacing_mm, is_dicom
from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.metainfo.p1p2 import MARKS, METAINFO
from equikpt_runtime.cells import text_of_cell


@DATASETS.register_module()
class P1P2Dataset(CheckedCocoDataset):
    """Lateral cephalograms with the ruler marks of :mod:`equikpt.metainfo.p1p2`.

    One sample is one whole radiograph: its box is the image. ``ann_file`` is what Label Studio
    exports as JSON, with points named ``p1`` (lower end) and ``p2`` (upper end) in percent of the
    image, or a COCO keypoint JSON with two keypoints. A mark that is not labelled, or that a
    radiograph has several times, gets visibility 0 and is not trained;
    ``tools/check_annotations_quality.py`` shows such radiographs. Each sample of a DICOM radiograph
    carries its ``pixel_spacing_mm``.

        dict(
            type='P1P2Dataset',
            data_root='data/',
            ann_file='annotations_p1_p2_train.json',
            data_prefix=dict(img='images/'),
            pipeline=train_pipeline)

    Options, checks and errors: :class:`CheckedCocoDataset`.
    """

    METAINFO: dict = METAINFO

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """As the base class, with ``pixel_spacing_mm`` where the radiograph is a DICOM file."""
        data_info = super().parse_data_info(raw_data_info)
        path = raw_data_info["raw_img_info"]["img_path"]
        if data_info is not None and is_dicom(path):
            data_info["pixel_spacing_mm"] = dicom_spacing_mm(path)
        return data_info

    def _read_content(self) -> dict:
        if not is_list(self.ann_file):
            return super()._read_content()
        names = list(self.metainfo["keypoint_name2id"])
        images, annotations = [], []
        ambiguous: list[str] = []
        for number, task in enumerate(read_tasks(self.ann_file), start=1):
            if task.rotation:
                raise ValueError(
                    f"{self.ann_file}: task {task.number} was labelled turned by "
                    f"{task.rotation:g}°, so its percentages belong to another image; turn the "
                    "file itself and label it again"
                )
            image = dict(self._image_of(task), id=number)
            ambiguous += [
                f"{image['file_name']}: {len(points)} × {name}"
                for name in names
                if len(points := task.points.get(name, ())) > 1
            ]
            images.append(image)
            annotations.append(_annotation_of(task, image, names))
        if ambiguous:
            MMLogger.get_current_instance().warning(
                f"{self.ann_file}: marks that are there several times are not trained "
                f"({format_examples(ambiguous)}); keep one of each"
            )
        categories = [dict(id=1, name="ruler", keypoints=names)]
        return dict(images=images, annotations=annotations, categories=categories)

    def _image_of(self, task: Task) -> dict:
        """Name of the task's image on disk, and the size in px that its percentages refer to.

        100 × 100 where neither the image nor the export has one: it is missing, and left out.
        """
        folder = self.data_prefix.get("img", "")
        there = (n for n in task.names_on_disk if os.path.isfile(os.path.join(folder, n)))
        name = next(there, task.file_name)
        try:
            width, height = loaded_size_px(os.path.join(folder, name))
        except OSError:
            width, height = task.size_px or (100, 100)
        return dict(file_name=name, width=width, height=height)


def _annotation_of(task: Task, image: dict, names: list[str]) -> dict:
    """A COCO annotation with points in px; of marks that are not there once, visibility 0."""
    width, height = image["width"], image["height"]
    keypoints: list[float] = []
    for name in names:
        points = task.points.get(name, ())
        x, y, visibility = (*points[0], 2) if len(points) == 1 else (0, 0, 0)
        keypoints += [x * width / 100, y * height / 100, visibility]
    return dict(
        id=image["id"],
        image_id=image["id"],
        category_id=1,
        bbox=[0, 0, width, height],
        area=width * height,
        iscrowd=0,
        keypoints=keypoints,
    )


def square_around(point: np.ndarray, side_px: float) -> np.ndarray:
    """Box (4,) left, top, right and bottom of a square centred on a point (2,), in px."""
    point = np.asarray(point, np.float32)
    return np.concatenate([point - side_px / 2, point + side_px / 2]).astype(np.float32)


@DATASETS.register_module()
class RulerMarkDataset(P1P2Dataset):
    """The radiographs of :class:`P1P2Dataset` with a sample for each labelled mark, to refine it.

    The box of a sample is a square around a coarse position of its mark, a fraction of the
    radiograph's height wide, so that a small input has the radiograph's own resolution. The other
    mark has visibility 0. ``mark`` in each sample is 0 for p1 and 1 for p2; ``RulerMetric`` puts
    both marks of a radiograph together again.

    The coarse position of a mark:

    - with ``marks_file``, where a first model found it: the CSV that ``tools/test.py`` writes for a
      config of whole radiographs. This is the test of both stages.
    - without it, at its label, moved by up to ``offset_fraction`` of the square, always the same
      way. This is for validation while the refine stage trains. Training moves it at random, by
      ``RandomBBoxTransform``.

    Args:
        crop_fraction: Side of the square as a fraction of the radiograph's height.
        marks_file: CSV with the columns ``radiograph``, ``p1_x``, ``p1_y``, ``p2_x`` and ``p2_y``.
        offset_fraction: Maximum offset from the label in test mode, as a fraction of the side.
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
        self._coarse = None if marks_file is None else _read_marks(Path(marks_file))
        super().__init__(*args, **kwargs)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        """Instances, one a mark, and images."""
        radiographs, images = super()._load_annotations()
        if self._coarse is not None:
            names = {Path(radiograph["img_path"]).name for radiograph in radiographs}
            absent = sorted(names - set(self._coarse))
            if absent:
                raise ValueError(
                    f"expected every radiograph of {self.ann_file} in marks_file, {len(absent)} "
                    f"are not ({format_examples(absent)}); test the first stage on the same ones"
                )
        side_px = {image["img_id"]: self.crop_fraction * image["height"] for image in images}
        marks = [
            self._sample(radiograph, int(mark), side_px[radiograph["img_id"]])
            for radiograph in radiographs
            for mark in np.flatnonzero(radiograph["keypoints_visible"][0])
        ]
        return marks, images

    def _sample(self, radiograph: dict, mark: int, side_px: float) -> dict:
        """One mark of a radiograph, as a sample of its own."""
        center = radiograph["keypoints"][0, mark]
        if self._coarse is not None:
            center = self._coarse[Path(radiograph["img_path"]).name][mark]
        elif self.test_mode:
            rng = np.random.default_rng([radiograph["id"], mark])
            angle, fraction = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform())
            direction = np.array([np.cos(angle), np.sin(angle)])
            center = center + direction * fraction * self.offset_fraction * side_px
        changes = dict(
            id=len(MARKS) * radiograph["id"] + mark,
            mark=mark,
            bbox=square_around(center, side_px)[None],
        )
        for key in ("keypoints_visible", "keypoints_visibility"):
            changes[key] = radiograph[key] * (np.arange(len(MARKS)) == mark)
        return {**radiograph, **changes}


def _read_marks(path: Path) -> dict[str, np.ndarray]:
    """(2, 2) px coords of both marks by the radiograph's file name."""
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
            f"{', '.join(sorted(lacking))} are not there; give the CSV of tools/test.py --report"
        )
    coords = table[columns].to_numpy(float).reshape(-1, len(MARKS), 2)
    return dict(zip(table["radiograph"].astype(str).map(text_of_cell), coords, strict=True))
