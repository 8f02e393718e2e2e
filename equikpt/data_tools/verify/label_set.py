"""Annotation files, and their valid labels as arrays: the input of the checks."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import check_coco, has_area, is_box, is_used, visibilities
from equikpt.core.coco.file import PARTS, load_coco
from equikpt.core.files import is_within
from equikpt.core.issues import Issue, Subject, format_examples
from equikpt.core.label_studio import is_list
from equikpt.data_tools.verify.scheme import Scheme, find_scheme, is_named

BLOCKING = {
    "field", "repeated_id", "dangling_reference", "keypoint_count", "keypoint_value",
    "visibility_value",
}  # fmt: skip
"""Codes of rows that must go before the rest can be judged."""


@dataclass(frozen=True)
class LabelFile:
    """One annotation file.

    Args:
        path: Of the JSON.
        img_dir: Folder of its images; None where images are not opened.
        content: Its rows that can be relied on: ids are unique, references lead somewhere, and
            keypoints are K triples of numbers.
    """

    path: Path
    img_dir: Path | None
    content: dict

    @property
    def name(self) -> str:
        """Its name in issues."""
        return str(self.path)

    def image_path(self, file_name: str) -> Path:
        """Path of an image, relative to the current folder without a folder of images."""
        return Path(os.path.join(self.img_dir or "", file_name))

    def holds(self, file_name: str) -> bool:
        """Tell whether a name leads into the folder of images."""
        return is_within(self.image_path(file_name), self.img_dir or "")


@dataclass(frozen=True, repr=False, eq=False)
class LabelSet:
    """Annotation files that belong together, such as training and validation.

    N annotations have labelled points and are no crowds: only those are trained on.

    Args:
        scheme: The K keypoints.
        files: The files.
        structure: Issues of the structure of the files.
        file: (N,) index of each annotation's file.
        rows: N annotations as in the file.
        images: N rows of their images.
        xy: (N, K, 2) px of the image.
        visibility: (N, K) 0, 1 or 2.
        boxes: (N, 4) x, y, width, height in px, NaN without a box.
        sizes: (N, 2) width and height of the image in px, as listed.
        areas: (N,) px², NaN without an area above 0.
    """

    scheme: Scheme
    files: tuple[LabelFile, ...]
    structure: tuple[Issue, ...]
    file: np.ndarray
    rows: list[dict]
    images: list[dict]
    xy: np.ndarray
    visibility: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labelled(self) -> np.ndarray:
        """(N, K) bool."""
        return self.visibility > 0

    def pairs_on_images(self) -> np.ndarray:
        """(P, 2) indices of annotations on the same image, the earlier one first."""
        on_image: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            on_image[int(self.file[index]), row["image_id"]].append(index)
        pairs = [pair for members in on_image.values() for pair in combinations(members, 2)]
        return np.array(pairs, int).reshape(-1, 2)

    def issue(
        self,
        code: str,
        index: int | np.integer,
        message: str,
        keypoints: Sequence[int] | np.ndarray = (),
        score: float | np.floating = 0.0,
    ) -> Issue:
        """Make an issue of annotation ``index``."""
        subject = Subject(
            file=self.files[self.file[index]].name,
            image_id=self.images[index]["id"],
            image=self.images[index]["file_name"],
            annotation_id=self.rows[index]["id"],
            keypoints=tuple(int(point) for point in keypoints),
        )
        return Issue(code, message, subject=subject, score=float(score))


def read_set(
    ann_files: Sequence[Path], img_dirs: Sequence[Path] = (), metainfo: str | None = None
) -> LabelSet:
    """Read annotation files and put their valid labels into arrays.

    Args:
        ann_files: COCO keypoint JSON files.
        img_dirs: None, one for all files, or one for each.
        metainfo: One of :data:`equikpt.data_tools.verify.METAINFOS` or a keypoint set's file;
            without it, the one whose names the files have, else the names of the files themselves.

    Raises:
        FileNotFoundError: A file or a folder is missing.
        ValueError: A file is not COCO, is named twice, or the number of folders does not fit.
    """
    if len({path.resolve() for path in ann_files}) != len(ann_files):
        raise ValueError("expected each annotation file once, got one twice; name it once")
    if len(img_dirs) not in (0, 1, len(ann_files)):
        raise ValueError(
            "expected one folder of images for all annotation files or one for each of the "
            f"{len(ann_files)}, got {len(img_dirs)}"
        )
    for folder in img_dirs:
        if not folder.is_dir():
            raise FileNotFoundError(f"expected a folder of images at {folder}, there is none")
    for path in filter(is_list, ann_files):
        raise ValueError(
            f"{path} is a list, as Label Studio exports it; expected a COCO keypoint JSON, and for "
            "ruler marks take tools/check_annotations_quality.py"
        )
    contents = [load_coco(path, typed=False) for path in ann_files]
    scheme = find_scheme(metainfo, contents)
    folders: Sequence[Path | None] = (
        img_dirs if len(img_dirs) == len(ann_files) else [*img_dirs, None][:1] * len(contents)
    )
    files, issues = [], []
    for path, img_dir, content in zip(ann_files, folders, contents, strict=True):
        found, valid = drop_invalid(content, scheme)
        files.append(LabelFile(path, img_dir, valid))
        issues += [issue.of(file=str(path)) for issue in found]
    return _in_arrays(scheme, tuple(files), tuple(issues))


def corners_px(xy: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) upper left and lower right corners of the rectangles around the labelled points.

    ``xy`` is (N, K, 2), ``labelled`` (N, K).
    """
    low = np.where(labelled[..., None], xy, np.inf).min(axis=1)
    return low, np.where(labelled[..., None], xy, -np.inf).max(axis=1)


def extent_px(xy: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """(N,) longer side of the rectangle around the labelled points, at least 1 px."""
    low, high = corners_px(xy, labelled)
    return np.maximum((high - low).max(axis=1), 1.0)


def drop_invalid(content: dict, scheme: Scheme) -> tuple[list[Issue], dict]:
    """Find the mistakes in the structure of a file, and take out the rows that are invalid.

    :func:`~equikpt.core.coco.checks.check_coco` stops where what it found makes the rest unsafe to
    read; it is asked again without the invalid rows, so that one does not hide all other mistakes.
    Of rows that share an id the first one stays. With an image or a category go the annotations
    that name it. The content that was given is not changed.
    """
    valid, issues = content, [*_other_names(content["categories"], scheme)]
    while True:
        found = check_coco(valid, scheme.names)
        issues += found
        gone: dict[str, set[int]] = {part: set() for part in PARTS}
        for issue in found:
            if issue.code in BLOCKING:
                gone[issue.subject.part].update(issue.subject.rows)
        if not any(gone.values()):
            return [*issues, *_miscounts(valid)], valid
        valid = _without(valid, gone)


def _without(content: dict, gone: dict[str, set[int]]) -> dict:
    """The content without the rows, and without the annotations that name them."""
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
    """Categories whose keypoints have other names than the scheme's, whatever their order."""
    for category in filter(is_named, categories):
        names = category["keypoints"]
        if len(names) == len(scheme.names) and sorted(names) != sorted(scheme.names):
            others = format_examples([name for name in names if name not in scheme.names])
            message = (
                f"category '{category.get('name')}' names {others}, which {scheme.name} has not"
            )
            yield Issue("keypoint_names", message)


def _miscounts(content: dict) -> Iterator[Issue]:
    images = {row["id"]: row["file_name"] for row in content["images"]}
    for row in content["annotations"]:
        labelled = int((visibilities(row) > 0).sum())
        if row.get("num_keypoints", labelled) != labelled:
            image = row["image_id"]
            subject = Subject(image=images[image], image_id=image, annotation_id=row["id"])
            message = f"num_keypoints is {row['num_keypoints']}, and {labelled} points are labelled"
            yield Issue("num_keypoints", message, subject=subject)


def _in_arrays(scheme: Scheme, files: tuple[LabelFile, ...], issues: tuple[Issue, ...]) -> LabelSet:
    owner, rows, images = [], [], []
    for index, file in enumerate(files):
        by_id = {row["id"]: row for row in file.content["images"]}
        for row in filter(is_used, file.content["annotations"]):
            owner.append(index)
            rows.append(row)
            images.append(by_id[row["image_id"]])
    points = np.array([row["keypoints"] for row in rows], float).reshape(-1, len(scheme.names), 3)
    boxes = [row["bbox"] if is_box(row.get("bbox")) else [np.nan] * 4 for row in rows]
    return LabelSet(
        scheme,
        files,
        issues,
        file=np.array(owner, int),
        rows=rows,
        images=images,
        xy=points[..., :2],
        visibility=points[..., 2].astype(np.uint8),
        boxes=np.array(boxes, float).reshape(-1, 4),
        sizes=np.array([(row["width"], row["height"]) for row in images], float).reshape(-1, 2),
        areas=np.array([row["area"] if has_area(row) else np.nan for row in rows], float),
    )
