"""Read COCO annotation files, and declare the types of the fields of them and of COCO results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from equikpt.core.typed_json import Whole, read_json, refuse_wrong_types

A_COCO_FILE = "a COCO keypoint JSON"

Id = Whole | float | str | None
"""Texts are judged by :func:`equikpt.core.coco.checks.check_coco`, or read as numbers."""

Numbers = list[float | None] | None
"""Exporters write null for NaN."""


class ImageRow(msgspec.Struct):
    """A row of ``images``."""

    id: Id = None
    file_name: str | None = None
    width: float | None = None
    height: float | None = None


class AnnotationRow(msgspec.Struct):
    """A row of ``annotations``, or of the results of a detector or a pose model."""

    id: Id = None
    image_id: Id = None
    category_id: Id = None
    bbox: Numbers = None
    area: float | None = None
    keypoints: Numbers = None
    num_keypoints: float | None = None
    iscrowd: float | bool | None = None
    segmentation: list | dict | None = None
    keypoint_scores: Numbers = None
    score: float | None = None


class CategoryRow(msgspec.Struct):
    """A row of ``categories``; names of keypoints may be numbers, which stand for themselves."""

    id: Id = None
    name: str | float | None = None
    keypoints: list[str | float] | None = None
    skeleton: list | None = None


class Coco(msgspec.Struct):
    """A COCO file."""

    images: list[ImageRow] = []
    annotations: list[AnnotationRow] = []
    categories: list[CategoryRow] = []


PARTS = Coco.__struct_fields__


def as_number(id_: object) -> object:
    """Return an id as a number where it is the text of one, else as it is."""
    return int(id_) if isinstance(id_, str) and id_.isdecimal() and len(id_) < 19 else id_


def load_coco(path: str | Path, parts: Sequence[str] = PARTS, typed: bool = True) -> dict:
    """Read a COCO file and make sure that it has the parts that every check relies on.

    Args:
        path: File.
        parts: Lists that it must have, and not empty.
        typed: Stop at values of another type than :class:`Coco` has; otherwise
            :func:`~equikpt.core.coco.checks.check_coco` names them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, is not JSON, or is not a COCO file with images and annotations.
    """
    content, where = read_json(Path(path), A_COCO_FILE), f"annotation file {path}"
    whole = msgspec.defstruct("Whole", [(part, list[dict]) for part in parts])
    refuse_wrong_types(content, whole, where, A_COCO_FILE)
    for part in parts:
        if not content[part]:
            raise ValueError(f"{where} has no {part}; export it with at least one")
    if typed:
        refuse_wrong_types(content, Coco, where, A_COCO_FILE)
    return content
