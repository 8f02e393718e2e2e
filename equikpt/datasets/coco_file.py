"""Reading a COCO annotation file."""

from __future__ import annotations

import json
from pathlib import Path


def load_coco(path: str | Path) -> dict:
    """Read a COCO file and make sure that it has the parts that every check relies on.

    Returns:
        The content, with non-empty lists of dicts ``images``, ``annotations``, ``categories``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, is not JSON, or is not a COCO file with pictures and annotations.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotation file at {path}; set data_root and ann_file to a COCO keypoint JSON"
        )
    try:
        # Not by way of bytes: of 100,000 annotations one copy of the text is enough.
        text = path.read_text(encoding="utf-8-sig")
        blank = not text or text.isspace()
        content = None if blank else json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"annotation file {path} is not JSON ({error}); give a COCO keypoint JSON"
        ) from error
    if blank:
        raise ValueError(f"annotation file {path} is empty; export it again")
    if not isinstance(content, dict):
        raise ValueError(
            f"annotation file {path} holds a {type(content).__name__}; expected a COCO object with "
            "images, annotations and categories"
        )
    for part in ("images", "annotations", "categories"):
        rows = content.get(part)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(
                f"annotation file {path} has no list of objects '{part}'; expected a COCO object "
                "with images, annotations and categories"
            )
        if not rows:
            raise ValueError(f"annotation file {path} has no {part}; export it with at least one")
    return content
