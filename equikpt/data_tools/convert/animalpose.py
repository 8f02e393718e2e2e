"""AnimalPose: MMPose's files, which are COCO JSON, and the dataset's own ``keypoints.json``.

Its own file maps image ids to names, gives boxes as two corners and keypoints as nested lists.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from equikpt.core.coco.file import AnnotationRow, CategoryRow, Coco, ImageRow
from equikpt.core.typed_json import read_json, refuse_wrong_types
from equikpt.data_tools.convert.coco_files import annotation_files, image_folders, left_out
from equikpt.data_tools.convert.coco_json import from_contents
from equikpt.data_tools.convert.records import SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.metainfo.correspondence import ANIMALPOSE

ANNOTATION_FILE = "AnimalPose's keypoints.json or MMPose's file"


class NestedAnnotation(AnnotationRow):
    """An annotation whose keypoints may be a list each."""

    keypoints: list[float | list[float] | None] | None = None  # type: ignore[assignment]  # wider


class AnimalPoseFile(msgspec.Struct):
    """AnimalPose's own file, or COCO."""

    images: dict[str, str] | list[ImageRow]
    annotations: list[NestedAnnotation]
    categories: list[CategoryRow]


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read AnimalPose.

    Args:
        source: An annotation file, or a folder with one, or one for each split.
        scheme: Names the keypoints where the file does not; otherwise MMPose's names are taken.
        images: Folder of the images.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If it is of neither form.
    """
    files = annotation_files(source)
    dataset = from_contents(
        {split: _as_coco(path) for split, path in files.items()},
        {split: str(path) for split, path in files.items()},
        {split: image_folders(path, split, images) for split, path in files.items()},
        scheme.keypoints or ANIMALPOSE,
    )
    dataset.notes += left_out(source, files)
    return dataset


def _as_coco(path: Path) -> dict:
    content = read_json(path, ANNOTATION_FILE)
    parts = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(content.get(part) for part in parts):
        raise ValueError(f"{path} lacks one of {', '.join(parts)}; give an annotation file")
    refuse_wrong_types(content, AnimalPoseFile, str(path), ANNOTATION_FILE)
    images = content["images"]
    if isinstance(images, dict):
        images = [{"id": id_, "file_name": name} for id_, name in images.items()]
    rows = [_flat(row, number) for number, row in enumerate(content["annotations"], 1)]
    coco = {"images": images, "annotations": rows, "categories": content["categories"]}
    refuse_wrong_types(coco, Coco, str(path), ANNOTATION_FILE)
    return coco


def _flat(row: dict, number: int) -> dict:
    """An annotation whose keypoints are one list; x, y, visibility may each be a list of its own.

    Its own file knows visibility 0 and 1, of which 1 is a labelled point.
    """
    keypoints = row.get("keypoints") or []
    if keypoints and all(isinstance(point, list) and len(point) == 3 for point in keypoints):
        nested = [[x, y, 2 if visible else 0] for x, y, visible in keypoints]
        keypoints = [value if point[2] else 0 for point in nested for value in point]
    return {"id": number, **row, "keypoints": keypoints}
