"""Checks of a detector's result file, whose boxes may stand in for labelled ones in a test."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from equikpt.core.coco.checks import is_box, is_number
from equikpt.core.coco.rows import AnnotationRow
from equikpt.core.issues import Issue, refuse_errors
from equikpt.core.typed_json import read_json, refuse_wrong_types

USED_CATEGORY = 1
"""As in MMPose, only boxes of this category are used from a detection file."""


def check_detections(path: str | Path, image_ids: Collection[int]) -> list[dict]:
    """Read a detection file, unless its boxes could not be used.

    Args:
        path: JSON list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.
        image_ids: Ids of the annotation file's images.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such list, names unknown images, or holds no box of category 1.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no detection file at {path}; set bbox_file to a detector's JSON")
    rows = read_json(path, "a detector's results")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"detection file {path} is not a list of objects; expected COCO results with image_id, "
            "category_id, bbox and score"
        )
    refuse_wrong_types(rows, list[AnnotationRow], f"detection file {path}", "a detector's results")
    refuse_errors(_unusable(rows, image_ids), f"detection file {path}")
    if not any(row["category_id"] == USED_CATEGORY for row in rows):
        raise ValueError(
            f"none of the {len(rows)} rows of detection file {path} has category_id "
            f"{USED_CATEGORY}, the only one that MMPose reads; write the horses as that category"
        )
    return rows


def _unusable(rows: list[dict], image_ids: Collection[int]) -> Iterator[Issue]:
    """Rows without what a detection needs, and rows of images that are not known."""
    wrong = [f"number {index}" for index, row in enumerate(rows) if not _is_detection(row)]
    unknown = [str(row.get("image_id")) for row in rows if row.get("image_id") not in image_ids]
    if wrong:
        message = "rows without image_id, category_id, a bbox of four numbers or a score"
        yield Issue("field", message, "write them", examples=tuple(wrong))
    elif unknown:
        yield Issue(
            "dangling_reference",
            "images that the annotation file lacks",
            "take the two files of the same split",
            examples=tuple(unknown),
        )


def _is_detection(row: dict) -> bool:
    return (
        is_box(row.get("bbox"))
        and is_number(row.get("score"))
        and "image_id" in row
        and "category_id" in row
    )
