"""Predictions in the form of COCO results, laid over the images of their annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import is_number
from equikpt.core.coco.file import AnnotationRow, as_number, load_coco
from equikpt.core.typed_json import read_json, refuse_wrong_types
from equikpt.data_tools.convert.coco_files import image_folders, split_named
from equikpt.data_tools.convert.coco_json import from_contents
from equikpt.data_tools.convert.records import SourceDataset


def read_predictions(
    annotations: Path,
    results: Path,
    names: Sequence[str],
    images: Path | None = None,
    min_score: float = 0.0,
) -> SourceDataset:
    """Images of a COCO file with what a model found on them instead of labels.

    Args:
        annotations: COCO file that lists the images and categories; it need not have labels.
        results: List of ``image_id``, ``category_id``, ``keypoints`` (x, y, score each), ``score``
            and perhaps ``bbox``.
        names: Keypoints in file order, for files that do not name them.
        images: Folder of the images.
        min_score: Keypoints below it are left out.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not of that form, or the results are of other images.
    """
    content = load_coco(annotations, parts=("images", "categories"))
    rows = read_json(results, "the results that tools/test.py --out writes")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{results} is not a list of COCO results; write it with test.py --out")
    refuse_wrong_types(rows, list[AnnotationRow], str(results), "what test.py --out wrote")
    known = {as_number(row.get("id")) for row in content["images"]}
    strangers = {as_number(row.get("image_id")) for row in rows} - known
    if strangers:
        raise ValueError(
            f"{results} is of {len(strangers)} images that {annotations} does not list, such as "
            f"id {min(map(str, strangers))}; give the file that was predicted on"
        )
    predicted, num_low = [], 0
    for index, row in enumerate(rows, start=1):
        keypoints, scores = _points(row, f"{results}, result {index}", min_score)
        num_low += int((scores < min_score).sum())
        predicted.append({**row, "id": index, "keypoints": keypoints, "keypoint_scores": scores})
    split = split_named(annotations.stem)
    dataset = from_contents(
        {split: {**content, "annotations": predicted}},
        {split: str(results)},
        {split: image_folders(annotations, split, images)},
        names,
    )
    if num_low:
        dataset.notes.append(f"{num_low} predicted points score below {min_score:g}, left out")
    return dataset


def _points(row: dict, where: str, min_score: float) -> tuple[list[float], np.ndarray]:
    """x, y, visibility as COCO lists them, and the (K,) scores that stood in its place."""
    values = row.get("keypoints")
    if not isinstance(values, list) or len(values) % 3 or not all(map(is_number, values)):
        raise ValueError(f"{where} has no keypoints of x, y, score each; predict again")
    points = np.array(values, dtype=float).reshape(-1, 3)
    scores = points[:, 2].copy()
    points[:, 2] = np.where(scores < min_score, 0, 2)
    points[scores < min_score, :2] = 0
    return points.ravel().tolist(), scores
