"""The same instances in two files, and how far apart their keypoints are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from equikpt.core.coco.checks import (
    BOX_AREA_FRACTION,
    has_area,
    is_box,
    is_number,
    is_used,
    load_valid_rows,
)
from equikpt.core.coco.file import AnnotationRow
from equikpt.core.issues import format_examples
from equikpt.core.typed_json import read_json, refuse_wrong_types

MIN_IOU = 0.5
"""Overlap of the boxes of two annotations that are taken for one instance."""
FARTHEST = 1.0
"""Distances beyond it, in units of the object's size, count alike when predictions are matched."""

Score = Callable[[dict, dict], float]
"""Likeness of two rows; pairs below 0 are none."""


@dataclass(frozen=True)
class PointPairs:
    """M instances that are in both files.

    Args:
        squared: (M, K) d² / s² of one annotation, NaN where not labelled in both: of two
            annotations half of what lies between them, of predictions all of it.
        images: M rows of the first file: the image of each.
        notes: What the user should know, one sentence each.
    """

    squared: np.ndarray
    images: tuple[dict, ...]
    notes: tuple[str, ...]


def pairs_of_annotations(first: Path, second: Path, by_id: bool = False) -> PointPairs:
    """Pair two annotations of the same images.

    Images go by their names, and instances by their boxes: those that overlap most, with an IoU
    of 0.5 at least. s² is the mean of both areas.

    Args:
        first: COCO keypoint file.
        second: Likewise.
        by_id: Take the annotations of one id for one instance instead.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is broken, or they have no instance in common.
    """
    a, b = load_valid_rows(first), load_valid_rows(second)
    names = {image["id"]: image["file_name"] for image in b["images"]}
    rows = _by_image(_used(b), lambda row: names[row["image_id"]])
    rows_of_images = {image["id"]: image for image in a["images"]}
    score: Score = _same_id if by_id else _overlap
    instances = _by_image(_used(a), lambda row: rows_of_images[row["image_id"]]["file_name"])
    matches, lonely = _match(instances, rows, score)
    shared = {image["file_name"] for image in a["images"]} & set(names.values())
    if not matches:
        raise ValueError(
            f"expected two annotations of the same instances, {first} and {second} have "
            f"{len(shared)} images and no instance in common"
        )
    areas = [(_area(one) + _area(other)) / 2 for one, other in matches]
    notes = _notes(matches, lonely, f"images in both files: {len(shared)}")
    images = tuple(rows_of_images[one["image_id"]] for one, _ in matches)
    return PointPairs(_squared(matches, areas) / 2, images, notes)


def pairs_with_predictions(gt: Path, predictions: Path) -> PointPairs:
    """Pair annotations with the nearest predictions of a model. s² is the annotation's area.

    Args:
        gt: COCO keypoint file.
        predictions: COCO results of its images, as ``tools/test.py --out`` writes them.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is broken, or there is no prediction for any instance.
    """
    content = load_valid_rows(gt)
    rows_of_images = {image["id"]: image for image in content["images"]}
    results = _by_image(_results(predictions), lambda row: row["image_id"])
    instances = _by_image(_used(content), lambda row: row["image_id"])
    matches, lonely = _match(instances, results, _nearness)
    if not matches:
        raise ValueError(
            f"expected predictions for the images of {gt}, {predictions} has none; are they "
            "of another split?"
        )
    predicted = [(one, _as_labelled(other)) for one, other in matches]
    images = tuple(rows_of_images[one["image_id"]] for one, _ in matches)
    areas = [_area(one) for one, _ in matches]
    return PointPairs(_squared(predicted, areas), images, _notes(matches, lonely))


def _used(content: dict) -> list[dict]:
    return [row for row in content["annotations"] if is_used(row)]


def _results(path: Path) -> list[dict]:
    rows = read_json(path, "predictions as tools/test.py --out writes them")
    if isinstance(rows, list):
        refuse_wrong_types(rows, list[AnnotationRow], str(path), "what tools/test.py --out wrote")
    sound = isinstance(rows, list) and all(
        "image_id" in row and _are_points(row.get("keypoints")) for row in rows
    )
    if not sound:
        raise ValueError(
            f"expected COCO results in {path}, a list of image_id, keypoints and score; write them "
            "with tools/test.py --out"
        )
    return rows


def _are_points(values: Any) -> bool:
    return isinstance(values, list) and len(values) % 3 == 0 and all(map(is_number, values))


def _by_image(rows: Sequence[dict], image: Callable) -> dict:
    groups = defaultdict(list)
    for row in rows:
        groups[image(row)].append(row)
    return groups


def _match(
    instances: dict, others: dict, score: Score
) -> tuple[list[tuple[dict, dict]], list[dict]]:
    """Pairs with the highest sum of scores on each image, and instances without a partner."""
    matches, lonely = [], []
    for image, rows in instances.items():
        found = others.get(image, [])
        scores = np.array([[score(row, other) for other in found] for row in rows])
        scores = scores.reshape(len(rows), len(found))
        partner = {
            row: column
            for row, column in zip(*linear_sum_assignment(scores, maximize=True), strict=True)
            if scores[row, column] >= 0
        }
        matches += [(rows[row], found[column]) for row, column in partner.items()]
        lonely += [row for index, row in enumerate(rows) if index not in partner]
    return matches, lonely


def _same_id(first: dict, second: dict) -> float:
    return 0.0 if first["id"] == second["id"] else -1.0


def _overlap(first: dict, second: dict) -> float:
    """IoU of the boxes, less the least that counts."""
    (left, top, right, bottom), (left2, top2, right2, bottom2) = _corners(first), _corners(second)
    width = max(min(right, right2) - max(left, left2), 0)
    height = max(min(bottom, bottom2) - max(top, top2), 0)
    both = width * height
    either = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2) - both
    return (both / either if either > 0 else 0.0) - MIN_IOU


def _corners(annotation: dict) -> tuple[float, float, float, float]:
    if not is_box(annotation.get("bbox")):
        raise ValueError(
            f"annotation {annotation['id']} has no box, by which instances are paired and sized; "
            "write [x, y, width, height]"
        )
    x, y, width, height = annotation["bbox"]
    return x, y, x + width, y + height


def _nearness(annotation: dict, result: dict) -> float:
    """1 for the same points, 0 for all of them an object's size away or farther."""
    squared = _squared([(annotation, _as_labelled(result))], [_area(annotation)])
    return 1 - float(np.nanmean(np.minimum(np.sqrt(squared), FARTHEST)))


def _as_labelled(result: dict) -> dict:
    """A result with its points labelled, whatever their scores."""
    points = np.array(result["keypoints"], float).reshape(-1, 3)
    points[:, 2] = 2
    return {**result, "keypoints": points.ravel().tolist()}


def _area(annotation: dict) -> float:
    if has_area(annotation):
        return float(annotation["area"])
    left, top, right, bottom = _corners(annotation)
    return BOX_AREA_FRACTION * (right - left) * (bottom - top)


def _squared(matches: Sequence[tuple[dict, dict]], areas_px2: Sequence[float]) -> np.ndarray:
    """(M, K) squared distances over the areas, NaN where not labelled in both."""
    counts = {len(row["keypoints"]) for pair in matches for row in pair}
    if len(counts) > 1:
        raise ValueError(
            "expected the same keypoints in both files, got "
            f"{' and '.join(f'{count / 3:g}' for count in sorted(counts))} a row"
        )
    points = np.array([[row["keypoints"] for row in pair] for pair in matches], float)
    points = points.reshape(len(matches), 2, -1, 3)
    labelled = (points[..., 2] > 0).all(axis=1)
    squared = ((points[:, 0, :, :2] - points[:, 1, :, :2]) ** 2).sum(axis=-1)
    return np.where(labelled, squared / np.asarray(areas_px2)[:, None], np.nan)


def _notes(matches: Sequence, lonely: Sequence[dict], *more: str) -> tuple[str, ...]:
    notes = [*more, f"instances in both: {len(matches)}"]
    if lonely:
        names = format_examples([str(row["id"]) for row in lonely])
        notes.append(f"annotations without a partner, left out: {len(lonely)} ({names})")
    bare = sum(not has_area(one) for one, _ in matches)
    if bare:
        notes.append(f"areas taken as {BOX_AREA_FRACTION} of the box: {bare}")
    return tuple(notes)
