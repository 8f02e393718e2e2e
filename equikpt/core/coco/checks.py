"""What can be wrong in a COCO keypoint file, found by pure functions over its content.

MMPose trusts its files: a repeated id replaces an annotation, an area of 0 makes AP 0, a wrong
number of keypoints fails in the middle of an epoch. Here each mistake is a :class:`Finding` that
names the offenders and says what to do; whoever calls decides whether to stop.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equikpt.core.coco.rows import PARTS, wrong_rows

SHOWN_OFFENDERS = 5

BOX_AREA_SHARE = 0.53
"""Area of an object as a share of its box, where only the box is known.

AP compares errors with the object's area, which in COCO is that of the outline. MMPose assumes
this share for COCO's people. One value everywhere keeps scores comparable.
"""


@dataclass(frozen=True)
class Finding:
    """One kind of mistake and everything that makes it.

    Args:
        what: What is wrong, as the start of a sentence.
        offenders: One short text for each offender; all of them, not only those shown.
        fix: What to do about it.
        fatal: Whether training or evaluation would be wrong; otherwise it is worth a warning.
    """

    what: str
    offenders: tuple[str, ...]
    fix: str
    fatal: bool = True

    def sentence(self) -> str:
        """The finding in one line, with the first offenders and the number of all."""
        return f"{self.what} ({named(self.offenders)}); {self.fix}"


def named(offenders: Sequence[str], shown: int = SHOWN_OFFENDERS) -> str:
    """The first ``shown`` offenders and the number of all."""
    count = f"{len(offenders)} in all: " if len(offenders) > shown else ""
    rest = ", …" if len(offenders) > shown else ""
    return f"{count}{', '.join(offenders[:shown])}{rest}"


def check_coco(
    content: dict, keypoint_names: Sequence[str], needs_area: bool = True
) -> list[Finding]:
    """Every mistake in the content of a COCO keypoint file.

    Args:
        content: What :func:`equikpt.core.coco.file.load_coco` returned, typed or not.
        keypoint_names: The K names that the dataset expects, in order.
        needs_area: Whether each labelled annotation must bring its own area (px²).

    Returns:
        Findings, worst first; empty for a sound file. References and geometry are only judged
        once ids and fields are sound.
    """
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        lambda: _types(content),
        lambda: (*_fields(content), *_unique_ids(content)),
        lambda: _references(content),
        lambda: _keypoints(content["annotations"], len(keypoint_names)),
        lambda: (
            *_keypoint_order(content["categories"], keypoint_names),
            *_boxes(content),
            *(_areas(content["annotations"]) if needs_area else ()),
            *_warnings(content),
        ),
    )
    findings: list[Finding] = []
    for check in checks:
        findings += check()
        if any(finding.fatal for finding in findings):
            break
    return findings


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_used(annotation: dict) -> bool:
    """Whether MMPose trains and evaluates on it: labelled points, and not a crowd."""
    return not annotation.get("iscrowd") and bool(visibilities(annotation).any())


def visibilities(annotation: dict) -> np.ndarray:
    """The (K,) visibilities 0, 1, 2 of an annotation, (0,) where it has no keypoints."""
    return np.asarray((annotation.get("keypoints") or [])[2::3], dtype=np.uint8)


def is_box(value: Any) -> bool:
    """Whether a JSON value can be a box ``[x, y, width, height]``."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def has_area(annotation: dict) -> bool:
    """Whether the annotation brings an area that COCO's evaluation can use."""
    return is_number(annotation.get("area")) and annotation["area"] > 0


def _finding(what: str, offenders: Iterable[str], fix: str, fatal: bool = True) -> list[Finding]:
    offenders = tuple(offenders)
    return [Finding(what, offenders, fix, fatal)] if offenders else []


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


def _types(content: dict) -> list[Finding]:
    """The first value of each row that is of another type than a COCO file has."""
    told = wrong_rows(content)
    points = {row for row in told if told[row].startswith(f"annotations[{row[1]}].keypoints[")}
    findings = _finding(
        "keypoints that are not numbers",
        (told[row] for row in told if row in points),
        "write 0, 0, 0 for a point that is not labelled",
    )
    for part in PARTS:
        others = [told[row] for row in told if row[0] == part and row not in points]
        findings += _finding(f"{part} with a field of another type", others, "write what it says")
    return findings


def _fields(content: dict) -> list[Finding]:
    findings: list[Finding] = []
    for part, field, accepts, kind in _REQUIRED:
        findings += _finding(
            f"{part} whose '{field}' is absent or not {kind}",
            (
                f"number {index} has {row.get(field)!r}"
                for index, row in enumerate(content[part])
                if not accepts(row.get(field))
            ),
            "write it into the file",
        )
    return findings


def _unique_ids(content: dict) -> list[Finding]:
    findings: list[Finding] = []
    for part in ("images", "annotations", "categories"):
        counts = Counter(str(row.get("id")) for row in content[part])
        findings += _finding(
            f"ids that several {part} share",
            (f"{id_} ({count} times)" for id_, count in counts.items() if count > 1),
            "give each its own id",
        )
    return findings


def _references(content: dict) -> list[Finding]:
    findings: list[Finding] = []
    for field, part in (("image_id", "images"), ("category_id", "categories")):
        known = {row["id"] for row in content[part]}
        findings += _finding(
            f"annotations whose '{field}' is not among the {part}",
            (
                f"annotation {row['id']} names {row[field]}"
                for row in content["annotations"]
                if row[field] not in known
            ),
            f"remove them or list what they name under {part}",
        )
    return findings


def _keypoints(annotations: list[dict], num_keypoints: int) -> list[Finding]:
    """Lengths, numbers and visibilities; an annotation without keypoints is no mistake."""
    lengths, not_numbers, not_visibilities = [], [], []
    for row in annotations:
        values = row.get("keypoints")
        if not values:
            continue
        if not isinstance(values, list) or len(values) != 3 * num_keypoints:
            count = f"{len(values) / 3:g} points" if isinstance(values, list) else "no list"
            lengths.append(f"annotation {row['id']} has {count}")
        elif not all(map(is_number, values)):
            not_numbers.append(f"annotation {row['id']}")
        elif not set(values[2::3]) <= {0, 1, 2}:
            wrong = sorted(set(values[2::3]) - {0, 1, 2})
            not_visibilities.append(f"annotation {row['id']} has {', '.join(map(str, wrong))}")
    return [
        *_finding(
            f"annotations without {num_keypoints} keypoints of x, y, visibility each",
            lengths,
            f"this dataset has {num_keypoints} keypoints; convert the file or take the dataset "
            "that fits it",
        ),
        *_finding(
            "keypoints that are not finite numbers",
            not_numbers,
            "write 0, 0, 0 for a point that is not labelled",
        ),
        *_finding(
            "visibilities other than 0, 1, 2",
            not_visibilities,
            "write 0 for not labelled, 1 for hidden, 2 for seen",
        ),
    ]


def _keypoint_order(categories: list[dict], expected: Sequence[str]) -> list[Finding]:
    """The file's own keypoint names, where it has them, in another order than ours."""
    offenders = []
    for row in categories:
        names = row.get("keypoints")
        if not isinstance(names, list) or sorted(map(str, names)) != sorted(expected):
            continue
        first = next((i for i, name in enumerate(expected) if names[i] != name), None)
        if first is not None:
            offenders.append(
                f"category '{row['name']}' has '{names[first]}' at place {first}, "
                f"expected '{expected[first]}'"
            )
    return _finding(
        "keypoints in another order", offenders, "reorder the keypoints of every annotation"
    )


def _boxes(content: dict) -> list[Finding]:
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    offenders = []
    for row in filter(is_used, content["annotations"]):
        box = row.get("bbox")
        if not is_box(box):
            offenders.append(f"annotation {row['id']} has {box}")
            continue
        x, y, box_width, box_height = box
        width, height = sizes[row["image_id"]]
        # MMPose clips boxes to the last pixel and drops, without a word, what has no area then.
        clipped_width = min(x + box_width, width - 1) - max(x, 0)
        clipped_height = min(y + box_height, height - 1) - max(y, 0)
        if min(box_width, box_height, clipped_width, clipped_height) <= 0:
            offenders.append(f"annotation {row['id']} has {box} in {width:g} x {height:g}")
    return _finding(
        "boxes without area inside their picture",
        offenders,
        "expected [x, y, width, height] in px with x, y the upper left corner",
    )


def _areas(annotations: list[dict]) -> list[Finding]:
    used = [row for row in annotations if is_used(row)]
    return [
        *_finding(
            "annotations without an area, which AP needs",
            (f"annotation {row['id']}" for row in used if row.get("area") is None),
            f"write the areas into the file, or set area_from_bbox={BOX_AREA_SHARE} to take that "
            "share of the box",
        ),
        *_finding(
            "areas that are not above 0, with which AP would be 0",
            (
                f"annotation {row['id']} has {row['area']}"
                for row in used
                if row.get("area") is not None and not has_area(row)
            ),
            f"correct the areas in px², or set area_from_bbox={BOX_AREA_SHARE} to take that "
            "share of the box",
        ),
    ]


def _warnings(content: dict) -> list[Finding]:
    sizes = {row["id"]: (row["width"], row["height"]) for row in content["images"]}
    outside = []
    for row in filter(is_used, content["annotations"]):
        points = np.asarray(row["keypoints"], dtype=float).reshape(-1, 3)
        xy = points[points[:, 2] > 0, :2]
        if (xy < 0).any() or (xy > sizes[row["image_id"]]).any():
            outside.append(f"annotation {row['id']}")
    files = Counter(row["file_name"] for row in content["images"])
    return [
        *_finding(
            "labelled keypoints outside their picture",
            outside,
            "check whether coordinates are in px of this picture",
            fatal=False,
        ),
        *_finding(
            "files that several images name",
            (f"{name} ({count} times)" for name, count in files.items() if count > 1),
            "list each file once",
            fatal=False,
        ),
    ]
