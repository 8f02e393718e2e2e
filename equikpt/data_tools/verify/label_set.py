"""Annotation files, and their valid labels as arrays: the input of the checks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import has_area, is_box, is_used
from equikpt.core.coco.file import load_coco
from equikpt.core.files import is_within
from equikpt.core.issues import Issue, Subject
from equikpt.core.label_studio import is_list
from equikpt.data_tools.verify.scheme import Scheme, find_scheme
from equikpt.data_tools.verify.structure import drop_invalid


@dataclass(frozen=True)
class LabelFile:
    """One annotation file.

    Args:
        path: Of the JSON.
        img_dir: Folder of its images; None where images are not looked at.
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


@dataclass(frozen=True)
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
    rows: list[dict] = field(repr=False)
    images: list[dict] = field(repr=False)
    xy: np.ndarray = field(repr=False)
    visibility: np.ndarray = field(repr=False)
    boxes: np.ndarray = field(repr=False)
    sizes: np.ndarray = field(repr=False)
    areas: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labelled(self) -> np.ndarray:
        """(N, K) bool."""
        return self.visibility > 0

    @property
    def ever_labelled(self) -> np.ndarray:
        """(K,) bool, true where any annotation labels the keypoint."""
        return (self.visibility > 0).any(axis=0).reshape(-1)

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
        metainfo: One of :data:`equikpt.data_tools.verify.METAINFOS`; without it, the one whose
            names the files have, else the names of the files themselves.

    Raises:
        FileNotFoundError: A file or a folder is missing.
        ValueError: A file is not COCO, is named twice, or the number of folders does not fit.
    """
    if len({path.resolve() for path in ann_files}) != len(ann_files):
        raise ValueError("expected each annotation file once, got one twice; name it once")
    folders = _folders(ann_files, img_dirs)
    contents = [_load(path) for path in ann_files]
    scheme = find_scheme(metainfo, contents)
    files, issues = [], []
    for path, folder, content in zip(ann_files, folders, contents, strict=True):
        found, valid = drop_invalid(content, scheme, str(path))
        files.append(LabelFile(path, folder, valid))
        issues += found
    return _in_arrays(scheme, tuple(files), tuple(issues))


def extent_px(xy: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """(N,) longer side of the rectangle around the labelled points, at least 1 px.

    Args:
        xy: (N, K, 2) px.
        labelled: (N, K) bool.
    """
    low = np.where(labelled[..., None], xy, np.inf).min(axis=1)
    high = np.where(labelled[..., None], xy, -np.inf).max(axis=1)
    return np.maximum((high - low).max(axis=1), 1.0)


def _folders(ann_files: Sequence[Path], img_dirs: Sequence[Path]) -> list[Path | None]:
    if len(img_dirs) not in (0, 1, len(ann_files)):
        raise ValueError(
            "expected one folder of images for all annotation files or one for each of the "
            f"{len(ann_files)}, got {len(img_dirs)}"
        )
    for folder in img_dirs:
        if not folder.is_dir():
            raise FileNotFoundError(f"expected a folder of images at {folder}, there is none")
    if len(img_dirs) == len(ann_files):
        return list(img_dirs)
    return [img_dirs[0] if img_dirs else None] * len(ann_files)


def _load(path: Path) -> dict:
    if path.is_file() and is_list(path):
        raise ValueError(
            f"{path} is a list, as Label Studio exports it; expected a COCO keypoint JSON, and for "
            "ruler marks take tools/check_annotations_quality.py"
        )
    return load_coco(path, typed=False)


def _in_arrays(scheme: Scheme, files: tuple[LabelFile, ...], issues: tuple[Issue, ...]) -> LabelSet:
    owner, rows, images = [], [], []
    for index, file in enumerate(files):
        by_id = {row["id"]: row for row in file.content["images"]}
        for row in filter(is_used, file.content["annotations"]):
            owner.append(index)
            rows.append(row)
            images.append(by_id[row["image_id"]])
    count, num_keypoints = len(rows), len(scheme.names)
    points = np.array([row["keypoints"] for row in rows], float)
    points = points.reshape(count, num_keypoints, 3)
    no_box = [float("nan")] * 4
    boxes = [row["bbox"] if is_box(row.get("bbox")) else no_box for row in rows]
    areas = [row["area"] if has_area(row) else float("nan") for row in rows]
    return LabelSet(
        scheme,
        files,
        issues,
        np.array(owner, int),
        rows,
        images,
        points[..., :2],
        points[..., 2].astype(np.uint8),
        np.array(boxes, float).reshape(count, 4),
        np.array([(row["width"], row["height"]) for row in images], float).reshape(count, 2),
        np.array(areas, float),
    )
