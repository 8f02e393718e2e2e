"""Pair the instances of two files, and measure how far apart their keypoints are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from equikpt.core.coco.checks import has_area, is_box, is_number, is_used, load_valid_rows
from equikpt.core.coco.file import Id
from equikpt.core.issues import format_examples
from equikpt.core.typed_json import read_json, refuse_wrong_types
from equikpt.data_tools.verify.scheme import is_named
from equikpt_runtime.boxes import BOX_AREA_FRACTION, box_area, box_iou, hungarian_match

MIN_IOU = 0.5
"""IoU from which the boxes of two annotations are of one instance."""
FARTHEST = 1.0
"""Distances beyond it, in units of the object's size, count alike when predictions are matched."""
RESULTS = "COCO results, as tools/test.py --out writes them"


class ResultRow(msgspec.Struct):
    """A row of the results of a pose model, as far as sigmas are estimated from it."""

    image_id: Id
    keypoints: list[float]


class PointPairs(NamedTuple):
    """M instances that are in both files.

    Args:
        squared: (M, K) d² / s² of one annotation, NaN where not labelled in both: of two
            annotations half of what lies between them, of predictions all of it.
        images: M rows of the first file: the image of each.
        notes: For the user, one sentence each.
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
        ValueError: A file is broken, they have no instance in common, or their keypoints stand in
            two orders.
    """
    (content, rows), (content_again, others) = (_read_labels(path) for path in (first, second))
    refuse_another_order(second, content_again, keypoint_names(content), str(first))
    score, least = (lambda a, b: float(a["id"] == b["id"]), 1.0) if by_id else (_iou, MIN_IOU)
    matches, unmatched = _match(rows, others, "file_name", score, least)
    names, names_again = (
        {row["file_name"] for row in each["images"]} for each in (content, content_again)
    )
    shared = len(names & names_again)
    if not matches:
        raise ValueError(
            f"expected two annotations of the same instances, {first} and {second} have "
            f"{shared} images and no instance in common"
        )
    areas = [(_area(one) + _area(other)) / 2 for one, other in matches]
    notes = (f"images in both files: {shared}", *_notes(matches, unmatched))
    return PointPairs(
        _squared(matches, areas) / 2, tuple(one["image"] for one, _ in matches), notes
    )


def pairs_with_predictions(gt: Path, predictions: Path) -> PointPairs:
    """Pair annotations with the nearest predictions of a model. s² is the annotation's area.

    Args:
        gt: COCO keypoint file.
        predictions: COCO results of its images, as ``tools/test.py --out`` writes them.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is broken, or there is no prediction for any instance.
    """
    _, rows = _read_labels(gt)
    matches, unmatched = _match(rows, _read_results(predictions), "image_id", _nearness, 0.0)
    if not matches:
        raise ValueError(
            f"expected predictions for the images of {gt}, {predictions} has none; are they "
            "of another split?"
        )
    squared = _squared(matches, [_area(one) for one, _ in matches])
    return PointPairs(
        squared, tuple(one["image"] for one, _ in matches), _notes(matches, unmatched)
    )


def keypoint_names(content: dict) -> tuple[str, ...]:
    """Names of the keypoints as a COCO file states them, in its order; none where it does not."""
    return next((tuple(each["keypoints"]) for each in content["categories"] if is_named(each)), ())


def refuse_another_order(path: Path, content: dict, expected: Sequence[str], other: str) -> None:
    """Raise ValueError where a COCO file has the keypoints of another file or set, reordered."""
    names = keypoint_names(content)
    if names != tuple(expected) and sorted(names) == sorted(expected):
        at = next(index for index, name in enumerate(names) if name != expected[index])
        raise ValueError(
            f"{path} has its keypoints in another order than {other}: '{names[at]}' as number {at} "
            f"instead of '{expected[at]}'; write both in one order"
        )


def _read_labels(path: Path) -> tuple[dict, list[dict]]:
    """The content of a file, and the annotations that are used, with their images."""
    content = load_valid_rows(path)
    images = {row["id"]: row for row in content["images"]}
    rows = [row | {"image": images[row["image_id"]]} for row in content["annotations"]]
    named = [row | {"file_name": row["image"]["file_name"]} for row in rows if is_used(row)]
    return content, named


def _read_results(path: Path) -> list[dict]:
    """Rows of results, their points labelled whatever their scores."""
    rows = read_json(path, RESULTS)
    refuse_wrong_types(rows, list[ResultRow], str(path), RESULTS)
    labelled = []
    for row in rows:
        if len(row["keypoints"]) % 3 or not all(map(is_number, row["keypoints"])):
            raise ValueError(f"{path} has keypoints that are not x, y and score; give {RESULTS}")
        points = np.array(row["keypoints"], float).reshape(-1, 3)
        points[:, 2] = 2
        labelled.append({**row, "keypoints": points.ravel().tolist()})
    return labelled


def _match(
    rows: Iterable[dict],
    others: Iterable[dict],
    key: str,
    score: Callable[[dict, dict], float],
    min_score: float,
) -> tuple[list[tuple[dict, dict]], list[dict]]:
    """Pairs with the highest sum of scores on each image, and rows without a partner."""
    groups: dict[Hashable, tuple[list[dict], list[dict]]] = defaultdict(lambda: ([], []))
    for file, each in enumerate((rows, others)):
        for row in each:
            groups[row[key]][file].append(row)
    matches, unmatched = [], []
    for here, there in groups.values():
        scores = np.array([[score(row, other) for other in there] for row in here])
        partner = dict(hungarian_match(scores.reshape(len(here), len(there)), min_score))
        matches += [(here[row], there[column]) for row, column in partner.items()]
        unmatched += [row for index, row in enumerate(here) if index not in partner]
    return matches, unmatched


def _iou(first: dict, second: dict) -> float:
    return box_iou(_corners(first), _corners(second))


def _corners(annotation: dict) -> np.ndarray:
    """(4,) left, top, right, bottom."""
    if not is_box(annotation.get("bbox")):
        raise ValueError(
            f"annotation {annotation['id']} has no box, by which instances are paired and sized; "
            "write [x, y, width, height]"
        )
    x, y, width, height = annotation["bbox"]
    return np.array([x, y, x + width, y + height])


def _nearness(annotation: dict, result: dict) -> float:
    """1 for the same points, 0 for all of them an object's size away or farther."""
    squared = _squared([(annotation, result)], [_area(annotation)])
    return 1 - float(np.nanmean(np.minimum(np.sqrt(squared), FARTHEST)))


def _area(annotation: dict) -> float:
    if has_area(annotation):
        return float(annotation["area"])
    return BOX_AREA_FRACTION * box_area(_corners(annotation))


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


def _notes(matches: Sequence[tuple[dict, dict]], unmatched: Sequence[dict]) -> tuple[str, ...]:
    notes = [f"instances in both: {len(matches)}"]
    if unmatched:
        names = format_examples([str(row["id"]) for row in unmatched])
        notes.append(f"annotations without a partner, left out: {len(unmatched)} ({names})")
    bare = sum(not has_area(one) for one, _ in matches)
    if bare:
        notes.append(f"areas taken as {BOX_AREA_FRACTION} of the box: {bare}")
    return tuple(notes)
