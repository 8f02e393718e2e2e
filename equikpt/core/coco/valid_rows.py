"""What a tool that rearranges or compares annotations relies on in a COCO file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.core.coco.checks import named
from equikpt.core.coco.file import load_coco


def load_sound_rows(path: Path) -> dict:
    """Read a COCO file of which it is clear what belongs together.

    Boxes, areas and the number of keypoints may be anything: those are for whoever trains on it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no COCO file, ids are absent or not unique, a picture has no name, an
            annotation is of no picture, or keypoints are not triples of numbers.
    """
    content = load_coco(path)
    for part in ("images", "annotations"):
        ids = Counter(str(row.get("id")) for row in content[part])
        _refuse(path, f"{part} without id", ["None"] * ids["None"], "number them")
        twice = [id_ for id_, count in ids.items() if count > 1]
        _refuse(path, f"{part} of the same id", twice, "give each its own")
    images, annotations = content["images"], content["annotations"]
    unnamed = [row["id"] for row in images if not _is_name(row.get("file_name"))]
    _refuse(path, "pictures without file_name", unnamed, "name them")
    known = {row["id"] for row in images}
    lost = [row["id"] for row in annotations if row.get("image_id") not in known]
    _refuse(path, "annotations of pictures that it does not list", lost, "remove them")
    broken = [row["id"] for row in annotations if not _are_triples(row.get("keypoints"))]
    _refuse(path, "keypoints that are not x, y, visibility", broken, "export them again")
    return content


def _refuse(path: Path, what: str, ids: list, fix: str) -> None:
    if ids:
        raise ValueError(f"{path} has {what} ({named([str(id_) for id_ in ids])}); {fix}")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_triples(values: Any) -> bool:
    """Whether keypoints are absent, or finite numbers with visibilities 0, 1, 2."""
    if not values:
        return True
    if not isinstance(values, list) or len(values) % 3:
        return False
    try:
        numbers = np.array(values, float)
    except (TypeError, ValueError):
        return False
    return bool(np.isfinite(numbers).all() and np.isin(numbers[2::3], (0, 1, 2)).all())
