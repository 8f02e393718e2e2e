"""Reading a COCO annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equikpt.core.coco.rows import PARTS, Coco
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
        ValueError: It is empty, is not JSON, or is not a COCO file with pictures and annotations.
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
