"""Ids, references, fields, numbers of keypoints: what a file must have before labels can be judged.

The judging is :func:`equikpt.core.coco.checks.check_coco`, which stops where what it found makes
the rest unsafe to read. Here the invalid rows are taken out and it is asked again, so that one
wrong row does not hide the mistakes of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from equikpt.core.coco.checks import check_coco, visibilities
from equikpt.core.coco.file import PARTS
from equikpt.core.issues import Issue, Subject, format_examples
from equikpt.data_tools.verify.scheme import Scheme, is_named

BLOCKING = {
    "field", "repeated_id", "dangling_reference", "keypoint_count", "keypoint_value",
    "visibility_value",
}  # fmt: skip
"""Codes of rows that must go before the rest can be judged."""


def drop_invalid(content: dict, scheme: Scheme, file: str) -> tuple[list[Issue], dict]:
    """Find the mistakes in the structure of a file, and take out the rows that are invalid.

    Of rows that share an id the first one stays. With an image or a category go the annotations
    that name it.

    Args:
        content: What :func:`equikpt.core.coco.file.load_coco` returned; it is not changed.
        scheme: The keypoints that the file should have.
        file: Its name, for the issues.

    Returns:
        The issues, and the content without invalid rows.
    """
    valid = {**content, **{part: list(content[part]) for part in PARTS}}
    issues: list[Issue] = []
    while True:
        found = check_coco(valid, scheme.names)
        issues += found
        blocking = [issue for issue in found if issue.code in BLOCKING]
        if not blocking:
            break
        valid = _without(valid, blocking)
    issues += _other_names(content["categories"], scheme)
    issues += _miscounts(valid)
    return [issue.of(file=file) for issue in issues], valid


def _without(content: dict, issues: Sequence[Issue]) -> dict:
    """The content without the rows of the issues, and without the annotations that name them."""
    gone: dict[str, set[int]] = {part: set() for part in PARTS}
    for issue in issues:
        gone[issue.subject.part] |= set(issue.subject.rows)
    kept = {
        part: [row for index, row in enumerate(content[part]) if index not in gone[part]]
        for part in PARTS
    }
    for part, reference in (("images", "image_id"), ("categories", "category_id")):
        left = {str(row.get("id")) for row in kept[part]}
        lost = {str(content[part][index].get("id")) for index in gone[part]} - left
        kept["annotations"] = [
            row for row in kept["annotations"] if str(row.get(reference)) not in lost
        ]
    return {**content, **kept}


def _other_names(categories: list[dict], scheme: Scheme) -> Iterator[Issue]:
    """Categories whose keypoints have other names than the scheme's; the order is checked above."""
    for category in filter(is_named, categories):
        names = category["keypoints"]
        if len(names) == len(scheme.names) and sorted(names) != sorted(scheme.names):
            others = format_examples([name for name in names if name not in scheme.names])
            yield Issue(
                "keypoint_names",
                f"category '{category.get('name')}' names {others}, which {scheme.name} has not",
            )


def _miscounts(content: dict) -> Iterator[Issue]:
    images = {row["id"]: row["file_name"] for row in content["images"]}
    for row in content["annotations"]:
        labelled = int((visibilities(row) > 0).sum())
        if row.get("num_keypoints", labelled) != labelled:
            yield Issue(
                "num_keypoints",
                f"num_keypoints is {row['num_keypoints']}, and {labelled} points are labelled",
                subject=Subject(
                    image=images[row["image_id"]],
                    image_id=row["image_id"],
                    annotation_id=row["id"],
                ),
            )
