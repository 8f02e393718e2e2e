"""Read a COCO annotation file: for its checks, for training, or to rearrange its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.core.coco.rows import PARTS, Coco
from equikpt.core.issues import Issue, refuse_errors
from equikpt.core.typed_json import read_json, refuse_wrong_types

A_COCO_FILE = "a COCO keypoint JSON"


def load_coco(path: str | Path, parts: Sequence[str] = PARTS, typed: bool = True) -> dict:
    """Read a COCO file and make sure that it has the parts that every check relies on.

    Args:
        path: The file.
        parts: Which lists it must have, and not empty.
        typed: Stop at values of another type than :class:`~equikpt.core.coco.rows.Coco` has;
            otherwise :func:`~equikpt.core.coco.checks.check_coco` names them.

    Returns:
        The content, with non-empty lists of dicts ``images``, ``annotations``, ``categories``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, is not JSON, or is not a COCO file with images and annotations.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotation file at {path}; set data_root and ann_file to {A_COCO_FILE}"
        )
    content = read_json(path, A_COCO_FILE)
    expected = "a COCO object with images, annotations and categories"
    if not isinstance(content, dict):
        raise ValueError(
            f"annotation file {path} holds a {type(content).__name__}; expected {expected}"
        )
    for part in parts:
        rows = content.get(part)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(
                f"annotation file {path} has no list of objects '{part}'; expected {expected}"
            )
        if not rows:
            raise ValueError(f"annotation file {path} has no {part}; export it with at least one")
    if typed:
        refuse_wrong_types(content, Coco, f"annotation file {path}", A_COCO_FILE)
    return content


def load_valid_rows(path: Path) -> dict:
    """Read a COCO file whose annotations belong to listed images.

    Boxes, areas and the number of keypoints may be anything: those are for whoever trains on it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no COCO file, ids are absent or not unique, an image has no name, an
            annotation is of no image, or keypoints are not triples of numbers.
    """
    content = load_coco(path)
    refuse_errors(_unclear(content), path)
    return content


def _unclear(content: dict) -> Iterator[Issue]:
    """Rows of which it is not clear what they are, or what they belong to."""
    images, annotations = content["images"], content["annotations"]
    for part in ("images", "annotations"):
        ids = Counter(str(row.get("id")) for row in content[part])
        yield from _of_ids("field", f"{part} without id", ["None"] * ids["None"])
        twice = [id_ for id_, count in ids.items() if count > 1 and id_ != "None"]
        yield from _of_ids("repeated_id", f"{part} of the same id", twice)
    names = ((row.get("id"), row.get("file_name")) for row in images)
    unnamed = [id_ for id_, name in names if not (isinstance(name, str) and name)]
    yield from _of_ids("field", "images without file_name", unnamed)
    known = {row.get("id") for row in images}
    lost = [row.get("id") for row in annotations if row.get("image_id") not in known]
    message = "annotations of images that it does not list"
    yield from _of_ids("dangling_reference", message, lost)
    broken = [row.get("id") for row in annotations if not _are_triples(row.get("keypoints"))]
    yield from _of_ids("keypoint_value", "keypoints that are not x, y, visibility", broken)


def _of_ids(code: str, message: str, ids: list) -> Iterator[Issue]:
    if ids:
        yield Issue(code, message, examples=tuple(map(str, ids)))


def _are_triples(values: Any) -> bool:
    """Tell whether keypoints are absent, or finite numbers with visibilities 0, 1, 2."""
    if not values:
        return True
    if not isinstance(values, list) or len(values) % 3:
        return False
    try:
        numbers = np.array(values, float)
    except (TypeError, ValueError):
        return False
    return bool(np.isfinite(numbers).all() and np.isin(numbers[2::3], (0, 1, 2)).all())
