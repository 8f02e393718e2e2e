"""Boxes and keypoints of an annotation file, by image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from equikpt.core.coco.checks import check_coco, is_box
from equikpt.core.coco.file import load_coco
from equikpt.core.issues import refuse_errors


@dataclass(frozen=True, eq=False)
class Gt:
    """The labels of one image.

    Args:
        boxes: (N, 4) left, top, right and bottom in px, as training clips them.
        keypoints: (N, K, 2) px.
        visibility: (N, K) COCO visibility; 0 is unlabelled.
    """

    boxes: np.ndarray
    keypoints: np.ndarray
    visibility: np.ndarray


class Labels:
    """The labels of a COCO annotation file.

    Args:
        path: The file.
        names: Of the K keypoints that the model knows.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is no COCO file, has other keypoints, or mistakes that training would refuse.
    """

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        content = load_coco(path)
        refuse_errors(check_coco(content, names, needs_area=False), f"annotation file {path}")
        self.path = path
        self._count = len(names)
        rows: dict[int, list[dict]] = {image["id"]: [] for image in content["images"]}
        for row in content["annotations"]:
            if is_box(row.get("bbox")) and not row.get("iscrowd"):
                rows[row["image_id"]].append(row)
        self._by_name: dict[str, list[tuple[dict, list[dict]]]] = {}
        for image in content["images"]:
            listed = self._by_name.setdefault(PurePath(image["file_name"]).name, [])
            listed.append((image, rows[image["id"]]))

    def of(self, path: Path) -> Gt:
        """Find the labels of an image by its name, and of several by the folders above it.

        Raises:
            ValueError: The file does not list the image, or several that it may be.
        """
        listed = self._by_name.get(path.name, [])
        if len(listed) > 1:
            parts = path.resolve().parts
            names = (PurePath(image["file_name"]).parts for image, _ in listed)
            fits = [parts[-len(name) :] == name for name in names]
            listed = [each for each, is_it in zip(listed, fits, strict=True) if is_it]
        if len(listed) != 1:
            raise ValueError(
                f"expected {path.name} once in {self.path}, it is listed "
                f"{len(listed) or 'nowhere'}; give the file that belongs to the image"
            )
        ((image, rows),) = listed
        corners = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        # as MMPose's data sets clip boxes
        boxes = corners.clip(0, np.tile([image["width"] - 1, image["height"] - 1], 2))
        points = [row.get("keypoints") or [0] * (3 * self._count) for row in rows]
        triples = np.array(points, float).reshape(-1, self._count, 3)
        seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Gt(boxes[seen], triples[seen, :, :2], triples[seen, :, 2])
