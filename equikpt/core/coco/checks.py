"""Mistakes in a COCO keypoint file, found by pure functions over its content.

MMPose trusts its files: a repeated id replaces an annotation, an area of 0 makes AP 0, a wrong
number of keypoints fails in the middle of an epoch. Here each is an
:class:`~equikpt.core.issues.Issue` of the row that has it; whoever calls decides whether to stop.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.core.coco.file import PARTS, AnnotationRow, Coco, load_coco
from equikpt.core.issues import Issue, Subject, errors, refuse_errors
from equikpt.core.typed_json import read_json, refuse_wrong_types, wrong_types

USED_CATEGORY = 1
"""As in MMPose, only boxes of this category are used from a detection file."""


def check_coco(
    content: dict, keypoint_names: Sequence[str], needs_area: bool = True
) -> list[Issue]:
    """Find every mistake in the content of a COCO keypoint file.

    Args:
        content: As :func:`equikpt.core.coco.file.load_coco` returned it, typed or not.
        keypoint_names: The K names that the dataset expects, in order.
        needs_area: Whether each labelled annotation must bring its own area (px²).

    Returns:
        Issues, worst first, each of one row of the file; empty for a valid file. References and
        geometry are only judged once ids and fields are valid.
    """
    return _first_errors(
        content,
        _types(content),
        _fields(content, _REQUIRED),
        _references(content, {"image_id": "images", "category_id": "categories"}),
        _keypoints(content, len(keypoint_names)),
        _labels(content, keypoint_names, needs_area),
    )


def load_valid_rows(path: Path) -> dict:
    """Read a COCO file whose annotations belong to listed images.

    Boxes, areas and the number of keypoints may be anything: those are for whoever trains on it.

    Raises:
        ValueError: It is no COCO file, ids are absent or not unique, an image has no name, an
            annotation is of no image, or keypoints are not triples of numbers.
    """
    content = load_coco(path)
    checks = (
        _fields(content, _NAMED),
        _references(content, {"image_id": "images"}),
        _keypoints(content),
    )
    refuse_errors(_first_errors(content, *checks), path)
    return content


def check_detections(path: str | Path, image_ids: Collection[int]) -> list[dict]:
    """Read a detector's result file, unless its boxes could not stand in for labelled ones.

    Args:
        path: JSON list of ``{"image_id", "category_id", "bbox": [x, y, width, height], "score"}``.
        image_ids: Ids of the annotation file's images.

    Raises:
        ValueError: It is no such list, names unknown images, or holds no box of category 1.
    """
    what, where = "a detector's results as bbox_file", f"detection file {path}"
    rows = read_json(Path(path), what)
    refuse_wrong_types(rows, list[AnnotationRow], where, what)
    wrong, lost = [], []
    for index, row in enumerate(rows):
        is_whole = row.keys() >= {"image_id", "category_id"} and is_number(row.get("score"))
        if not (is_whole and is_box(row.get("bbox"))):
            wrong.append(f"number {index}")
        elif row["image_id"] not in image_ids:
            lost.append(str(row["image_id"]))
    issues = []
    if wrong:
        message = "rows without image_id, category_id, a bbox of four numbers or a score"
        issues.append(Issue("field", message, "write them", examples=tuple(wrong)))
    if lost:
        message, fix = "images that the annotation file lacks", "take two files of the same split"
        issues.append(Issue("dangling_reference", message, fix, examples=tuple(lost)))
    refuse_errors(issues, where)
    if not any(row["category_id"] == USED_CATEGORY for row in rows):
        raise ValueError(
            f"none of the {len(rows)} rows of {where} has category_id {USED_CATEGORY}, the only "
            "one that MMPose reads; write the horses as that category"
        )
    return rows


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_used(annotation: dict) -> bool:
    """Tell whether MMPose trains and evaluates on it: labelled points, and not a crowd."""
    return not annotation.get("iscrowd") and bool(visibilities(annotation).any())


def visibilities(annotation: dict) -> np.ndarray:
    """Read the (K,) visibilities 0, 1, 2 of an annotation, (0,) where it has no keypoints."""
    return np.asarray((annotation.get("keypoints") or [])[2::3], dtype=np.uint8)


def is_box(value: Any) -> bool:
    """Tell whether a JSON value can be a box ``[x, y, width, height]``."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def has_area(annotation: dict) -> bool:
    """Tell whether the annotation brings an area that COCO's evaluation can use."""
    return is_number(annotation.get("area")) and annotation["area"] > 0


def _first_errors(content: dict, *checks: Iterator[Issue]) -> list[Issue]:
    """Issues of checks up to the first with errors, with annotation and image of their last row."""
    issues: list[Issue] = []
    for check in checks:
        issues += check
        if errors(issues):
            break
    images = {str(row.get("id")): row for row in content["images"]} if issues else {}
    completed = []
    for issue in issues:
        part, row = issue.subject.part, content[issue.subject.part][issue.subject.rows[-1]]
        image = row if part == "images" else images.get(str(row.get("image_id")), {})
        annotation_id = row.get("id") if part == "annotations" else None
        name = str(image.get("file_name", ""))
        completed.append(
            issue.of(annotation_id=annotation_id, image_id=image.get("id"), image=name)
        )
    return completed


def _issue(
    code: str,
    message: str,
    rows: int | Sequence[int],
    example: str,
    fix: str = "",
    part: str = "annotations",
    keypoints: Sequence[int] = (),
) -> Issue:
    indices = (rows,) if isinstance(rows, int) else tuple(rows)
    subject = Subject(part=part, rows=indices, keypoints=tuple(keypoints))
    return Issue(code, message, fix, subject=subject, examples=(example,))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "an id": lambda value: value is not None,
    "an integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "a text": lambda value: isinstance(value, str) and bool(value),
    "a number above 0": lambda value: is_number(value) and value > 0,
}
_SIZE = dict(width="a number above 0", height="a number above 0")
_REQUIRED = dict(
    images=dict(id="an integer", file_name="a text", **_SIZE),
    annotations=dict(id="an integer", image_id="an integer", category_id="an integer"),
    categories=dict(id="an integer", name="a text"),
)
_NAMED = dict(images=dict(id="an id", file_name="a text"), annotations=dict(id="an id"))
"""Fields by the part that must have them, with the kinds of their values."""


def _types(content: dict) -> Iterator[Issue]:
    """The first value of each row that is of another type than a COCO file has."""
    seen = set()
    for wrong in wrong_types({part: content[part] for part in PARTS}, Coco):
        part, row, field, *inner = wrong.path
        if (part, row) in seen:
            continue
        seen.add((part, row))
        if field == "keypoints" and inner:
            yield _issue("keypoint_value", "keypoints that are not numbers", int(row), str(wrong))
        else:
            message, fix = f"{part} with a field of another type", "write what it says"
            yield _issue("field", message, int(row), str(wrong), fix, str(part))


def _fields(content: dict, required: Mapping[str, Mapping[str, str]]) -> Iterator[Issue]:
    """Fields that are absent or of another kind, and ids that several rows share."""
    for part, fields in required.items():
        for field, kind in fields.items():
            message = f"{part} whose '{field}' is absent or not {kind}"
            for index, row in enumerate(content[part]):
                if not _KINDS[kind](row.get(field)):
                    example = f"number {index} has {row.get(field)!r}"
                    yield _issue("field", message, index, example, part=part)
    for part in required:
        yield from _repeated("repeated_id", f"ids that several {part} share", content, part, "id")


def _repeated(code: str, message: str, content: dict, part: str, field: str) -> Iterator[Issue]:
    """Values that several rows of a part have; the rows are those after the first."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(content[part]):
        rows_of[str(row.get(field))].append(index)
    for value, rows in rows_of.items():
        if len(rows) > 1:
            yield _issue(code, message, rows[1:], f"{value} ({len(rows)} times)", part=part)


def _references(content: dict, parts: Mapping[str, str]) -> Iterator[Issue]:
    for field, part in parts.items():
        known = {row["id"] for row in content[part]}
        message = f"annotations whose '{field}' is not among the {part}"
        fix = f"remove them or list what they name under {part}"
        for index, row in enumerate(content["annotations"]):
            if row.get(field) not in known:
                example = f"annotation {row['id']} names {row.get(field)}"
                yield _issue("dangling_reference", message, index, example, fix)


def _keypoints(content: dict, count: int | None = None) -> Iterator[Issue]:
    """Lengths, numbers and visibilities; an annotation without keypoints is no mistake."""
    for index, row in enumerate(content["annotations"]):
        values, name = row.get("keypoints") or [], f"annotation {row['id']}"
        if len(values) % 3 or (values and count is not None and len(values) != 3 * count):
            expected = "whole" if count is None else str(count)
            message = f"annotations without {expected} keypoints of x, y, visibility each"
            yield _issue("keypoint_count", message, index, f"{name} has {len(values) / 3:g} points")
        elif not np.isfinite(np.array(values, float)).all():
            yield _issue("keypoint_value", "keypoints that are not finite numbers", index, name)
        elif wrong := sorted(set(values[2::3]) - {0, 1, 2}):
            example = f"{name} has {', '.join(map(str, wrong))}"
            yield _issue("visibility_value", "visibilities other than 0, 1, 2", index, example)


def _labels(content: dict, keypoint_names: Sequence[str], needs_area: bool) -> Iterator[Issue]:
    """Order of keypoints, boxes, areas and points of a file whose rows can be read."""
    yield from _keypoint_order(content["categories"], keypoint_names)
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    rows = [(index, row) for index, row in enumerate(content["annotations"]) if is_used(row)]
    for index, row in rows:
        width, height = sizes[row["image_id"]]
        if not _has_area_inside(row.get("bbox"), width, height):
            example = f"annotation {row['id']} has {row.get('bbox')} in {width:g} x {height:g}"
            message = "boxes without area inside their image"
            yield _issue("box_without_area", message, index, example)
    for index, row in rows if needs_area else ():
        name, area = f"annotation {row['id']}", row.get("area")
        if area is None:
            yield _issue("no_area", "annotations without an area, which AP needs", index, name)
        elif not has_area(row):
            message = "areas that are not above 0, with which AP would be 0"
            yield _issue("area_not_positive", message, index, f"{name} has {area}")
    message = "labelled keypoints outside their image"
    for index, row in rows:
        points = np.asarray(row["keypoints"], float).reshape(-1, 3)
        outside = ((points[:, :2] < 0) | (points[:, :2] > sizes[row["image_id"]])).any(axis=1)
        keypoints = np.flatnonzero(outside & (points[:, 2] > 0)).tolist()
        if keypoints:
            example = f"annotation {row['id']}"
            yield _issue("point_outside_image", message, index, example, keypoints=keypoints)
    message = "files that several images name"
    yield from _repeated("repeated_file", message, content, "images", "file_name")


def _keypoint_order(categories: list[dict], expected: Sequence[str]) -> Iterator[Issue]:
    """The file's own keypoint names, where it has them, in another order than ours."""
    for index, row in enumerate(categories):
        names = [*map(str, row.get("keypoints") or ())]
        if names != [*expected] and sorted(names) == sorted(expected):
            first = next(i for i, name in enumerate(expected) if names[i] != name)
            example = (
                f"category '{row['name']}' has '{names[first]}' as number {first}, expected "
                f"'{expected[first]}'"
            )
            message = "keypoints in another order"
            yield _issue("keypoint_order", message, index, example, part="categories")


def _has_area_inside(box: Any, width: float, height: float) -> bool:
    if not is_box(box):
        return False
    x, y, box_width, box_height = box
    # MMPose clips boxes to the last pixel and drops, without a word, what has no area then.
    clipped_width = min(x + box_width, width - 1) - max(x, 0)
    clipped_height = min(y + box_height, height - 1) - max(y, 0)
    return min(box_width, box_height, clipped_width, clipped_height) > 0
