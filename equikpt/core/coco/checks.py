"""Mistakes in a COCO keypoint file, found by pure functions over its content.

MMPose trusts its files: a repeated id replaces an annotation, an area of 0 makes AP 0, a wrong
number of keypoints fails in the middle of an epoch. Here each is an
:class:`~equikpt.core.issues.Issue` of the row that has it; whoever calls decides whether to stop.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from equikpt.core.coco.rows import PARTS, wrong_rows
from equikpt.core.issues import Issue, Subject, errors

BOX_AREA_SHARE = 0.53
"""Area of an object as a share of its box, where only the box is known.

AP compares errors with the object's area, which in COCO is that of the outline. MMPose assumes
this share for COCO's people. One value everywhere keeps scores comparable.
"""


def check_coco(
    content: dict, keypoint_names: Sequence[str], needs_area: bool = True
) -> list[Issue]:
    """Find every mistake in the content of a COCO keypoint file.

    Args:
        content: What :func:`equikpt.core.coco.file.load_coco` returned, typed or not.
        keypoint_names: The K names that the dataset expects, in order.
        needs_area: Whether each labelled annotation must bring its own area (px²).

    Returns:
        Issues, worst first, each of one row of the file; empty for a valid file. References and
        geometry are only judged once ids and fields are valid.
    """
    checks: tuple[Callable[[], Iterator[Issue]], ...] = (
        lambda: _types(content),
        lambda: _fields_and_ids(content),
        lambda: _references(content),
        lambda: _keypoints(content["annotations"], len(keypoint_names)),
        lambda: _labels(content, keypoint_names, needs_area),
    )
    issues: list[Issue] = []
    for check in checks:
        issues += check()
        if errors(issues):
            break
    return _with_images(issues, content)


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


def _with_images(issues: list[Issue], content: dict) -> list[Issue]:
    """Name annotation and image of the last row that each issue is about."""
    images = {str(row.get("id")): row for row in content["images"]} if issues else {}
    completed = []
    for issue in issues:
        part = issue.subject.part
        row = content[part][issue.subject.rows[-1]]
        annotation = row if part == "annotations" else {}
        image = row if part == "images" else images.get(str(annotation.get("image_id")), {})
        completed.append(
            issue.of(
                annotation_id=annotation.get("id"),
                image_id=image.get("id"),
                image=str(image.get("file_name", "")),
            )
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
    """An issue of rows of one part of the file."""
    indices = (rows,) if isinstance(rows, int) else tuple(rows)
    subject = Subject(part=part, rows=indices, keypoints=tuple(keypoints))
    return Issue(code, message, fix, subject=subject, examples=(example,))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_length(value: Any) -> bool:
    return is_number(value) and value > 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_REQUIRED: tuple[tuple[str, str, Callable[[Any], bool], str], ...] = (
    ("images", "id", _is_id, "an integer"),
    ("images", "file_name", _is_name, "a text"),
    ("images", "width", _is_length, "a number above 0"),
    ("images", "height", _is_length, "a number above 0"),
    ("annotations", "id", _is_id, "an integer"),
    ("annotations", "image_id", _is_id, "an integer"),
    ("annotations", "category_id", _is_id, "an integer"),
    ("categories", "id", _is_id, "an integer"),
    ("categories", "name", _is_name, "a text"),
)


def _types(content: dict) -> Iterator[Issue]:
    """The first value of each row that is of another type than a COCO file has."""
    others = []
    for (part, row), wrong in wrong_rows(content).items():
        if part == "annotations" and wrong.path[2] == "keypoints" and len(wrong.path) > 3:
            yield _issue("keypoint_value", "keypoints that are not numbers", row, str(wrong))
        else:
            others.append((part, row, str(wrong)))
    for part, row, told in others:
        message, fix = f"{part} with a field of another type", "write what it says"
        yield _issue("field", message, row, told, fix, part)


def _fields_and_ids(content: dict) -> Iterator[Issue]:
    for part, field, accepts, kind in _REQUIRED:
        for index, row in enumerate(content[part]):
            if not accepts(row.get(field)):
                message = f"{part} whose '{field}' is absent or not {kind}"
                yield _issue(
                    "field", message, index, f"number {index} has {row.get(field)!r}", part=part
                )
    for part in PARTS:
        yield from _repeated("repeated_id", f"ids that several {part} share", content, part, "id")


def _repeated(code: str, message: str, content: dict, part: str, field: str) -> Iterator[Issue]:
    """Values that several rows of a part have; the rows are those after the first."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(content[part]):
        rows_of[str(row.get(field))].append(index)
    for value, rows in rows_of.items():
        if len(rows) > 1:
            yield _issue(code, message, rows[1:], f"{value} ({len(rows)} times)", part=part)


def _references(content: dict) -> Iterator[Issue]:
    for field, part in (("image_id", "images"), ("category_id", "categories")):
        known = {row["id"] for row in content[part]}
        message = f"annotations whose '{field}' is not among the {part}"
        fix = f"remove them or list what they name under {part}"
        for index, row in enumerate(content["annotations"]):
            if row[field] not in known:
                example = f"annotation {row['id']} names {row[field]}"
                yield _issue("dangling_reference", message, index, example, fix)


def _keypoints(annotations: list[dict], num_keypoints: int) -> Iterator[Issue]:
    """Lengths, numbers and visibilities; an annotation without keypoints is no mistake."""
    for index, row in enumerate(annotations):
        values, name = row.get("keypoints"), f"annotation {row['id']}"
        if not values:
            continue
        if not isinstance(values, list) or len(values) != 3 * num_keypoints:
            count = f"{len(values) / 3:g} points" if isinstance(values, list) else "no list"
            yield _issue(
                "keypoint_count",
                f"annotations without {num_keypoints} keypoints of x, y, visibility each",
                index,
                f"{name} has {count}",
                f"this dataset has {num_keypoints} keypoints; convert the file or take the dataset "
                "that fits it",
            )
        elif not all(map(is_number, values)):
            yield _issue("keypoint_value", "keypoints that are not finite numbers", index, name)
        elif wrong := sorted(set(values[2::3]) - {0, 1, 2}):
            example = f"{name} has {', '.join(map(str, wrong))}"
            yield _issue("visibility_value", "visibilities other than 0, 1, 2", index, example)


def _labels(content: dict, keypoint_names: Sequence[str], needs_area: bool) -> Iterator[Issue]:
    """Order of keypoints, boxes, areas and points of a file whose rows can be read."""
    yield from _keypoint_order(content["categories"], keypoint_names)
    used = [(i, row) for i, row in enumerate(content["annotations"]) if is_used(row)]
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    for index, row in used:
        told = _box_without_area(row.get("bbox"), *sizes[row["image_id"]])
        if told:
            message = "boxes without area inside their image"
            yield _issue("box_without_area", message, index, f"annotation {row['id']} has {told}")
    if needs_area:
        yield from _areas(used)
    for index, row in used:
        points = np.asarray(row["keypoints"], dtype=float).reshape(-1, 3)
        xy, size = points[:, :2], sizes[row["image_id"]]
        outside = ((xy < 0) | (xy > size)).any(axis=1) & (points[:, 2] > 0)
        if outside.any():
            yield _issue(
                "point_outside_image",
                "labelled keypoints outside their image",
                index,
                f"annotation {row['id']}",
                keypoints=np.flatnonzero(outside).tolist(),
            )
    message = "files that several images name"
    yield from _repeated("repeated_file", message, content, "images", "file_name")


def _keypoint_order(categories: list[dict], expected: Sequence[str]) -> Iterator[Issue]:
    """The file's own keypoint names, where it has them, in another order than ours."""
    for index, row in enumerate(categories):
        names = row.get("keypoints")
        if not isinstance(names, list) or sorted(map(str, names)) != sorted(expected):
            continue
        first = next((i for i, name in enumerate(expected) if names[i] != name), None)
        if first is not None:
            yield _issue(
                "keypoint_order",
                "keypoints in another order",
                index,
                f"category '{row['name']}' has '{names[first]}' at place {first}, expected "
                f"'{expected[first]}'",
                part="categories",
            )


def _box_without_area(box: Any, width: float, height: float) -> str:
    """The box as it is written, empty for one with an area inside its image."""
    if not is_box(box):
        return f"{box}"
    x, y, box_width, box_height = box
    # MMPose clips boxes to the last pixel and drops, without a word, what has no area then.
    clipped_width = min(x + box_width, width - 1) - max(x, 0)
    clipped_height = min(y + box_height, height - 1) - max(y, 0)
    if min(box_width, box_height, clipped_width, clipped_height) > 0:
        return ""
    return f"{box} in {width:g} x {height:g}"


def _areas(used: list[tuple[int, dict]]) -> Iterator[Issue]:
    for index, row in used:
        name, area = f"annotation {row['id']}", row.get("area")
        if area is None:
            yield _issue("no_area", "annotations without an area, which AP needs", index, name)
        elif not has_area(row):
            message = "areas that are not above 0, with which AP would be 0"
            yield _issue("area_not_positive", message, index, f"{name} has {area}")
