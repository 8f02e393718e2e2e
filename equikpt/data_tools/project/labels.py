"""Labels of a project in figures: what is wrong with them, and boxes for lone points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import is_used
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import CODES, format_examples, plural
from equikpt.data_tools.convert import writer
from equikpt.data_tools.convert.records import SPLITS
from equikpt.data_tools.project.recipe import DataFacts
from equikpt.data_tools.verify.run import VerifyResult, counts, verify
from equikpt.data_tools.verify.scheme import OWN_ORDER
from equikpt_runtime.boxes import BOX_AREA_FRACTION

LONE_PX = 2.5
"""Longer side up to which a box was made around a single point."""
MAX_SHIFT = 0.25
"""Largest distance of such a point from the middle of its new box, as a fraction of the side."""

STOPPING = ("damaged_image", "missing_image", "outside_image", "image_size")
"""Codes with which a training would stop, or learn nothing true."""


def label_files(root: Path) -> dict[str, Path]:
    """Annotation files of the layout by split."""
    paths = {name: writer.annotation_file(root, name) for name in SPLITS}
    return {name: path for name, path in paths.items() if path.is_file()}


def read_labels(root: Path) -> dict[str, dict]:
    """COCO dict of each split."""
    return {name: load_coco(path) for name, path in label_files(root).items()}


def data_facts(contents: dict[str, dict]) -> DataFacts:
    """Count what a recipe depends on.

    Raises:
        ValueError: A part has no labelled animal.
    """
    used = {name: list(filter(is_used, each["annotations"])) for name, each in contents.items()}
    bare = [name for name, rows in used.items() if not rows]
    if bare:
        raise ValueError(f"{bare[0]} has no labelled animal; label some, or divide anew")
    sides = np.array([row["bbox"][2:] for rows in used.values() for row in rows])
    return DataFacts(
        keypoints=len(keypoint_names(contents)),
        instances={name: len(rows) for name, rows in used.items()},
        box_px=float(np.median(sides.max(axis=1))),
        box_aspect=float(np.median(sides[:, 0] / sides[:, 1])),
    )


def figures(contents: dict[str, dict]) -> list[str]:
    """One line on images, animals and points, for each part."""
    lines = []
    for name, content in contents.items():
        rows = list(filter(is_used, content["annotations"]))
        points = sum(row["num_keypoints"] for row in rows)
        kinds = ", ".join(row["name"] for row in content["categories"])
        share = points / max(1, len(rows) * len(keypoint_names(contents)))
        part = f"{name}: " if len(contents) > 1 else ""
        lines.append(
            f"{part}{plural(len(content['images']), 'image')}, "
            f"{plural(len(rows), 'labelled instance')} ({kinds}), "
            f"{share:.0%} of their points"
        )
    return lines


def keypoint_names(contents: dict[str, dict]) -> list[str]:
    """Names of the K keypoints."""
    return next(iter(contents.values()))["categories"][0]["keypoints"]


def poses(contents: dict[str, dict]) -> np.ndarray:
    """(N, K, 3) x, y in px of the image and visibility of all labelled animals."""
    rows = [row for each in contents.values() for row in each["annotations"] if is_used(row)]
    points = [row["keypoints"] for row in rows]
    return np.array(points, float).reshape(len(rows), -1, 3)


# --- boxes ---


def widen_lone_boxes(contents: dict[str, dict]) -> str:
    """Give animals of one labelled point and no box of their own one that shows something.

    In place. The size is that of the other boxes; where all are such, the image with one animal
    on it, or the median distance to the next animal. The point is not in the middle: a model would
    learn no more than that.

    Returns:
        A note, empty where there are none.
    """
    rows = [row for content in contents.values() for row in content["annotations"]]
    longer = np.array([max(row["bbox"][2:]) for row in rows])
    lone = longer <= LONE_PX
    if not lone.any():
        return ""
    sizes = {
        (name, image["id"]): (image["width"], image["height"])
        for name, content in contents.items()
        for image in content["images"]
    }
    side = float(np.median(longer[~lone])) if not lone.all() else _spacing(contents)
    rng = np.random.default_rng(0)
    for name, content in contents.items():
        for row in content["annotations"]:
            if max(row["bbox"][2:]) <= LONE_PX:
                width, height = sizes[name, row["image_id"]]
                middle = np.array(row["bbox"][:2]) + np.array(row["bbox"][2:]) / 2
                middle += rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * side
                row["bbox"] = _square(middle, side, width, height)
                row["area"] = round(BOX_AREA_FRACTION * row["bbox"][2] * row["bbox"][3], 3)
    wide = f"{side:.0f} px wide" if side else "the whole image"
    return f"{plural(int(lone.sum()), 'such box', 'es')} around a single point made larger: {wide}"


def _spacing(contents: dict[str, dict]) -> float:
    """Median distance of a box's centre to the next one on its image, px; 0 if all are alone."""
    nearest: list[float] = []
    for content in contents.values():
        centres: dict[object, list] = {}
        for row in content["annotations"]:
            x, y, width, height = row["bbox"]
            centres.setdefault(row["image_id"], []).append((x + width / 2, y + height / 2))
        for points in (np.array(own) for own in centres.values() if len(own) > 1):
            apart = np.linalg.norm(points[:, None] - points, axis=-1)
            np.fill_diagonal(apart, np.inf)
            nearest += apart.min(axis=1).tolist()
    return float(np.median(nearest)) if nearest else 0.0


def _square(middle: np.ndarray, side: float, width: int, height: int) -> list[float]:
    """A square as far as it lies in the image, px; the image where the side is 0."""
    low = np.clip(middle - side / 2, 0, (width, height)) if side else np.zeros(2)
    high = np.clip(middle + side / 2, 0, (width, height)) if side else np.array([width, height])
    return [round(float(value), 3) for value in (*low, *(high - low))]


# --- checks ---


def check_labels(root: Path) -> list[str]:
    """Lines on what :func:`~equikpt.data_tools.verify.run.verify` finds, worst first.

    Raises:
        ValueError: Images cannot be trained on.
    """
    paths = label_files(root)
    folders = [writer.image_folder(root, name) for name in paths]
    result = verify(list(paths.values()), folders, OWN_ORDER)
    stopping = [issue for issue in result.issues if issue.code in STOPPING]
    if stopping:
        shown = format_examples([f"{each.subject.image}: {each.sentence}" for each in stopping])
        raise ValueError(
            f"{len(stopping)} images cannot be trained on ({shown}); replace them, or take them "
            "out of the export"
        )
    return list(_issue_lines(result))


def _issue_lines(result: VerifyResult) -> Iterator[str]:
    for code, count in counts(result).items():
        if CODES[code].severity == "info":
            continue
        first = next(issue for issue in result.issues if issue.code == code)
        where = first.subject.image or first.subject.file
        yield f"{count} × {CODES[code].title}, as in {where}: {first.sentence}; {first.fix}"
