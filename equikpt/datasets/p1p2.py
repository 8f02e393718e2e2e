"""Cephalograms with two ruler marks, in Label Studio's JSON or in COCO JSON."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.logging import MMLogger
from mmpose.registry import DATASETS

from equikpt.core.image_checks import loaded_size_px
from equikpt.core.issues import format_examples
from equikpt.core.label_studio import Task, is_list, read_tasks
from equikpt.core.radiograph import dicom_spacing_mm, is_dicom
from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.metainfo.p1p2 import METAINFO


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

    def _read_content(self) -> dict:
        if is_list(self.ann_file):
            return self._coco_from(read_tasks(self.ann_file))
        return super()._read_content()

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """As the base class, with ``pixel_spacing_mm`` where the radiograph is a DICOM file."""
        data_info = super().parse_data_info(raw_data_info)
        path = raw_data_info["raw_img_info"]["img_path"]
        if data_info is not None and is_dicom(path):
            data_info["pixel_spacing_mm"] = dicom_spacing_mm(path)
        return data_info

    def _coco_from(self, tasks: list[Task]) -> dict:
        """Turn tasks into the content of a COCO file, points in px from the upper left corner."""
        names = list(self.metainfo["keypoint_name2id"])
        folder = self.data_prefix.get("img", "")
        ambiguous: list[str] = []
        images, annotations = [], []
        for number, task in enumerate(tasks, start=1):
            if task.rotation:
                raise ValueError(
                    f"{self.ann_file}: task {task.number} was labelled turned by "
                    f"{task.rotation:g}°, so its percentages belong to another image; turn the "
                    "file itself and label it again"
                )
            file_name = name_on_disk(task, folder)
            width, height = _size_px(os.path.join(folder, file_name), task)
            images.append(dict(id=number, file_name=file_name, width=width, height=height))
            keypoints: list[float] = []
            for name in names:
                found = task.points.get(name, ())
                if len(found) > 1:
                    ambiguous.append(f"{file_name}: {len(found)} × {name}")
                x, y = found[0] if len(found) == 1 else (0.0, 0.0)
                keypoints += [x * width / 100, y * height / 100, 2 if len(found) == 1 else 0]
            annotations.append(
                dict(
                    id=number,
                    image_id=number,
                    category_id=1,
                    bbox=[0, 0, width, height],
                    area=width * height,
                    iscrowd=0,
                    keypoints=keypoints,
                )
            )
        if ambiguous:
            MMLogger.get_current_instance().warning(
                f"{self.ann_file}: marks that are there several times are not trained "
                f"({format_examples(ambiguous)}); keep one of each"
            )
        categories = [dict(id=1, name="ruler", keypoints=names)]
        return dict(images=images, annotations=annotations, categories=categories)


def name_on_disk(task: Task, folder: str | Path) -> str:
    """The name under which a task's image lies in a folder; its exported name if none does."""
    for name in task.names_on_disk:
        if os.path.isfile(os.path.join(folder, name)):
            return name
    return task.file_name


def _size_px(path: str, task: Task) -> tuple[int, int]:
    """Width and height to which a task's percentages refer.

    100 × 100 where neither the image nor the export tells: such an image is missing, and left out.
    """
    try:
        return loaded_size_px(path)
    except OSError:
        return task.size_px or (100, 100)
