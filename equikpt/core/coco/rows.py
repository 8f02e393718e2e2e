"""Declare the types of the fields that COCO files and COCO results have."""

from __future__ import annotations

import msgspec

from equikpt.core.typed_json import Whole, WrongType, wrong_types

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
    """A row of ``annotations``."""

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


PARTS = ("images", "annotations", "categories")


def as_number(id_: object) -> object:
    """An id as a number where it is the text of one, else as it is."""
    return int(id_) if isinstance(id_, str) and id_.isdecimal() and len(id_) < 19 else id_


def wrong_rows(content: dict) -> dict[tuple[str, int], WrongType]:
    """The first value of another type on each row that has one, by part and index."""
    first: dict[tuple[str, int], WrongType] = {}
    for part in PARTS:
        for wrong in wrong_types({part: content[part]}, Coco):
            _, index, *_ = wrong.path
            first.setdefault((part, int(index)), wrong)
    return first
