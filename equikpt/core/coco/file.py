"""Read a COCO annotation file: for its checks, for training, or to rearrange its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.core.coco.rows import PARTS, Coco
from equikpt.core.issues import format_examples
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
    for part in ("images", "annotations"):
        ids = Counter(str(row.get("id")) for row in content[part])
        _refuse(path, f"{part} without id", ["None"] * ids["None"], "number them")
        twice = [id_ for id_, count in ids.items() if count > 1]
        _refuse(path, f"{part} of the same id", twice, "give each its own")
    images, annotations = content["images"], content["annotations"]
    names = ((row["id"], row.get("file_name")) for row in images)
    unnamed = [id_ for id_, name in names if not (isinstance(name, str) and name)]
    _refuse(path, "images without file_name", unnamed, "name them")
    known = {row["id"] for row in images}
    lost = [row["id"] for row in annotations if row.get("image_id") not in known]
    _refuse(path, "annotations of images that it does not list", lost, "remove them")
    broken = [row["id"] for row in annotations if not _are_triples(row.get("keypoints"))]
    _refuse(path, "keypoints that are not x, y, visibility", broken, "export them again")
    return content


def _refuse(path: Path, mistake: str, ids: list, fix: str) -> None:
    if ids:
        shown = format_examples([str(id_) for id_ in ids])
        raise ValueError(f"{path} has {mistake} ({shown}); {fix}")


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
