"""Ids, references, fields, numbers of keypoints: what a file must have before labels can be judged.

The judging is :func:`equikpt.core.coco.checks.check_coco`, which stops where what it found
makes the rest unsafe to read. Here the offenders are taken out and it is asked again, so that one
wrong row does not hide the mistakes of all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from equikpt.core.coco.checks import Finding, check_coco, visibilities
from equikpt.data_tools.verify.checks import Fault
from equikpt.data_tools.verify.scheme import Scheme, is_named

PARTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class _Row:
    """How a finding of ``check_coco`` becomes faults.

    Args:
        what: Pattern of its ``what``.
        check: Name in the table of checks.
        blocks: Whether the offenders must go before the rest can be judged.
    """

    what: str
    check: str
    blocks: bool = True


_TABLE = (
    _Row(r"(images|annotations|categories) with a field of another type", "field"),
    _Row(r"keypoints that are not numbers", "keypoint_value"),
    _Row(r"(images|annotations|categories) whose '\w+' is absent or not", "field"),
    _Row(r"ids that several (images|annotations|categories) share", "repeated_id"),
    _Row(r"(annotations) whose '\w+' is not among", "dangling_reference"),
    _Row(r"(annotations) without \d+ keypoints", "keypoint_count"),
    _Row(r"keypoints that are not finite numbers", "keypoint_value"),
    _Row(r"visibilities other than", "visibility_value"),
    _Row(r"keypoints in another order", "keypoint_order", blocks=False),
    _Row(r"boxes without area", "box_without_area", blocks=False),
    _Row(r"annotations without an area", "no_area", blocks=False),
    _Row(r"areas that are not above 0", "area_not_positive", blocks=False),
    _Row(r"labelled keypoints outside their picture", "point_outside_picture", blocks=False),
    _Row(r"files that several (images) name", "repeated_file", blocks=False),
)
_OTHER = _Row("", "other_finding", blocks=False)


def settle(content: dict, scheme: Scheme, file: str) -> tuple[list[Fault], dict]:
    """What is wrong with the structure of a file, and its content without the rows that are.

    Of rows that share an id the first one stays. With a picture or a category go the annotations
    that name it.

    Args:
        content: What :func:`equikpt.core.coco.file.load_coco` returned; it is not changed.
        scheme: The keypoints that the file should have.
        file: Its name, for the faults.
    """
    sound = {**content, **{part: list(content[part]) for part in PARTS}}
    faults: list[Fault] = []
    while True:
        found = [(finding, row_of(finding)) for finding in check_coco(sound, scheme.names)]
        for finding, row in found:
            faults += _faults(finding, row, sound, file)
        reduced = _without(sound, [(finding, row) for finding, row in found if row.blocks])
        if all(len(reduced[part]) == len(sound[part]) for part in PARTS):
            break
        sound = reduced
    faults += _names(content["categories"], scheme, file)
    faults += _counts(sound, file)
    return faults, sound


def row_of(finding: Finding) -> _Row:
    """The row of the table for a finding of ``check_coco``."""
    return next((row for row in _TABLE if re.match(row.what, finding.what)), _OTHER)


def _faults(finding: Finding, row: _Row, content: dict, file: str) -> Iterator[Fault]:
    """A fault for each offender, with the annotation or the picture that it names."""
    part, places = _part(finding, row), _places(finding, row, content)
    images = {str(item.get("id")): item for item in content["images"]}
    for offender, place in zip(finding.offenders, places, strict=True):
        item = {} if place is None else content[part][place]
        annotation = item if part == "annotations" else {}
        image = item if part == "images" else images.get(str(annotation.get("image_id")), {})
        yield Fault(
            row.check,
            f"{finding.what} ({offender})",
            finding.fix,
            file=file,
            image_id=image.get("id"),
            image=str(image.get("file_name", "")),
            annotation_id=annotation.get("id"),
            points=_outside(annotation, image) if row.check == "point_outside_picture" else (),
        )


def _outside(annotation: dict, image: dict) -> tuple[int, ...]:
    """Indices of the labelled points outside the picture, which the finding does not name."""
    points = np.array(annotation["keypoints"], float).reshape(-1, 3)
    size = (image["width"], image["height"])
    outside = (points[:, :2] < 0).any(axis=1) | (points[:, :2] > size).any(axis=1)
    return tuple(np.flatnonzero(outside & (points[:, 2] > 0)).tolist())


def _part(finding: Finding, row: _Row) -> str:
    """Which of :data:`PARTS` the offenders are of."""
    match = re.match(row.what, finding.what)
    return match[1] if match and match.groups() else "annotations"


def _places(finding: Finding, row: _Row, content: dict) -> list[int | None]:
    """Index of each offender among its part of the file, as the first text of it tells."""
    rows = content[_part(finding, row)]
    field = "file_name" if row.check == "repeated_file" else "id"
    # of rows that share it the last one: it is too many
    place = {str(item.get(field)): index for index, item in enumerate(rows)}
    places: list[int | None] = []
    for offender in finding.offenders:
        if match := re.match(r"number (\d+) has|\w+\[(\d+)\]", offender):
            places.append(int(match[1] or match[2]))  # number 7 has …, images[7].id: …
        elif row.check in ("repeated_id", "repeated_file"):
            places.append(place.get(offender.rpartition(" (")[0]))  # … (2 times)
        else:
            places.append(place.get(offender.partition(" ")[2].split(" ")[0]))  # annotation 7 …
    return places


def _without(content: dict, findings: list[tuple[Finding, _Row]]) -> dict:
    """The content without the offenders of the findings, and without what names them."""
    gone: dict[str, set[int | None]] = {part: set() for part in PARTS}
    for finding, row in findings:
        part = _part(finding, row)
        if row.check == "repeated_id":
            first = {str(item.get("id")): item for item in reversed(content[part])}
            gone[part] |= {
                index
                for index, item in enumerate(content[part])
                if first[str(item.get("id"))] is not item
            }
        else:
            gone[part] |= set(_places(finding, row, content))
    kept = {
        part: [item for index, item in enumerate(content[part]) if index not in gone[part]]
        for part in PARTS
    }
    for part, reference in (("images", "image_id"), ("categories", "category_id")):
        left = {str(item.get("id")) for item in kept[part]}
        lost = {str(content[part][index].get("id")) for index in gone[part] if index is not None}
        kept["annotations"] = [
            item for item in kept["annotations"] if str(item.get(reference)) not in lost - left
        ]
    return {**content, **kept}


def _names(categories: list[dict], scheme: Scheme, file: str) -> Iterator[Fault]:
    """Categories whose keypoints have other names than the scheme's; the order is checked above."""
    for category in filter(is_named, categories):
        names = category["keypoints"]
        if len(names) == len(scheme.names) and sorted(names) != sorted(scheme.names):
            other = [name for name in names if name not in scheme.names]
            yield Fault(
                "keypoint_names",
                f"category '{category.get('name')}' names {', '.join(other[:5])}"
                f"{', …' if len(other) > 5 else ''}, which {scheme.name} has not",
                file=file,
            )


def _counts(content: dict, file: str) -> Iterator[Fault]:
    images = {row["id"]: row for row in content["images"]}
    for row in content["annotations"]:
        labelled = int((visibilities(row) > 0).sum())
        if row.get("num_keypoints", labelled) != labelled:
            yield Fault(
                "num_keypoints",
                f"num_keypoints is {row['num_keypoints']}, and {labelled} points are labelled",
                file=file,
                image_id=row["image_id"],
                image=images[row["image_id"]]["file_name"],
                annotation_id=row["id"],
            )
