"""COCO keypoint JSON as tools and datasets write it, with what they get wrong.

Put right and noted: repeated categories and images, width and height or boxes in another order,
annotations of no image, wrong counts. Keypoints of several categories share one list of names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equikpt.core.coco.box_checks import FORMS, STATED, fits, likely_form
from equikpt.core.coco.checks import has_area, is_number
from equikpt.core.coco.file import as_number
from equikpt.data_tools.convert.boxes import BoxPx, as_box
from equikpt.data_tools.convert.images import ImageFolders, SizePx, labelled_sizes
from equikpt.data_tools.convert.names import output_names
from equikpt.data_tools.convert.records import Instance, LabelledImage, SourceDataset, noted


@dataclass
class _Category:
    name: str
    keypoints: tuple[str, ...]
    columns: list[int] = field(default_factory=list)
    links: tuple[tuple[str, str], ...] = ()


def from_contents(
    contents: dict[str, dict],
    files: dict[str, Path],
    folders: dict[str, ImageFolders],
    names: Sequence[str],
) -> SourceDataset:
    """Read COCO dicts.

    Args:
        contents: COCO dict of each split.
        files: Its file, for messages.
        folders: Where its images may lie.
        names: Keypoints in file order, for files that do not name them.
    """
    dataset = SourceDataset()
    tables = {
        split: _categories(content["categories"], files[split], tuple(names), dataset.notes)
        for split, content in contents.items()
    }
    every = [category for table in tables.values() for category in table.values()]
    dataset.links = tuple(dict.fromkeys(link for row in every for link in row.links))
    dataset.keypoints = tuple(dict.fromkeys(name for row in every for name in row.keypoints))
    for category in every:
        category.columns = [dataset.keypoints.index(name) for name in category.keypoints]
    for split, content in contents.items():
        file = _File(files[split], tables[split], len(dataset.keypoints))
        dataset.splits[split] = file.read(content, folders[split])
        dataset.notes += [f"{split}: {note}" if split else note for note in file.notes]
    return dataset


def _categories(
    rows: list[dict], where: Path, names: tuple[str, ...], notes: list[str]
) -> dict[object, _Category]:
    table: dict[object, _Category] = {}
    repeated: Counter[str] = Counter()
    for row in rows:
        if "id" not in row or "name" not in row:
            raise ValueError(f"{where} has a category without id or name: {row}; add both")
        points = tuple(map(str, row.get("keypoints") or names))
        category = _Category(str(row["name"]), points, links=_links(row, points))
        if len(set(category.keypoints)) < len(category.keypoints):
            raise ValueError(
                f"{where}: category '{category.name}' names a keypoint twice; each needs its own "
                "name"
            )
        other = table.setdefault(as_number(row["id"]), category)
        if other != category:
            raise ValueError(
                f"{where}: the categories '{other.name}' and '{category.name}' share the id "
                f"{as_number(row['id'])}; give each its own"
            )
        repeated[category.name] += other is not category
    for name, count in repeated.items():
        if count:
            notes.append(f"category '{name}' stands {count + 1} times in the file, taken once")
    return table


def _links(row: dict, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The lines of a category's skeleton, whose ends count from 1, as far as they can be."""
    pairs = [pair for pair in row.get("skeleton") or () if isinstance(pair, list)]
    ends = range(1, len(names) + 1)
    return tuple(
        (names[pair[0] - 1], names[pair[1] - 1])
        for pair in pairs
        if len(pair) == 2 and all(type(end) is int and end in ends for end in pair)
    )


class _File:
    """Reader of one COCO dict, with notes on what was put right."""

    def __init__(
        self, where: Path, categories: dict[object, _Category], num_keypoints: int
    ) -> None:
        self._where, self._categories = where, categories
        self._num_keypoints = num_keypoints
        self.notes: list[str] = []

    def read(self, content: dict, folders: ImageFolders) -> list[LabelledImage]:
        """The images with their animals, in the order of the file."""
        rows = self._image_rows(content["images"])
        annotations = self._annotation_rows(content["annotations"], rows)
        points = [self._points(row) for row in annotations]
        labelled = [xyv[xyv[:, 2] > 0, :2] for xyv in points]
        of_image: dict[object, list[int]] = defaultdict(list)
        for index, row in enumerate(annotations):
            of_image[row["image_id"]].append(index)
        names = [name for name, _ in rows.values()]
        stated = [size for _, size in rows.values()]
        paths = folders.find_all([[name] for name in names])
        around = [
            np.concatenate([np.zeros((0, 2)), *(labelled[i] for i in of_image[id_])])
            for id_ in rows
        ]
        found, notes = labelled_sizes(names, paths, stated, around)
        sizes = dict(zip(rows, found, strict=True))
        own_sizes = [sizes[row["image_id"]] for row in annotations]
        boxes = self._boxes(annotations, labelled, own_sizes)
        self.notes += notes
        return [
            LabelledImage(
                path,
                *sizes[id_],
                tuple(self._instance(annotations[i], points[i], boxes[i]) for i in of_image[id_]),
                name,
            )
            for id_, path, name in zip(rows, paths, output_names(names), strict=True)
        ]

    def _image_rows(self, images: list[dict]) -> dict[object, tuple[str, SizePx | None]]:
        """Name and stated size by id."""
        rows: dict[object, tuple[str, SizePx | None]] = {}
        repeated = []
        for row in images:
            if row.get("id") is None or not isinstance(row.get("file_name"), str):
                raise ValueError(f"{self._where} has an image without id or file_name: {row}")
            size: list[Any] = [row.get("width"), row.get("height")]
            stated = (round(size[0]), round(size[1])) if all(map(is_number, size)) else None
            entry, id_ = (row["file_name"], stated), as_number(row["id"])
            if id_ in rows:
                if rows[id_] != entry:
                    raise ValueError(
                        f"{self._where}: the images {rows[id_][0]} and {entry[0]} share the id "
                        f"{id_}; give each its own"
                    )
                repeated.append(entry[0])
            rows[id_] = entry
        self.notes += noted("images listed several times, taken once", repeated)
        return rows

    def _annotation_rows(self, given: list[dict], images: dict) -> list[dict]:
        """Annotations of listed images and categories."""
        rows, astray = [], []
        for row in given:
            row = row | {key: as_number(row.get(key)) for key in ("image_id", "category_id")}
            if row["category_id"] not in self._categories:
                raise ValueError(
                    f"{self._where}: annotation {row.get('id')} is of category "
                    f"{row['category_id']}, which the file does not list"
                )
            if row["image_id"] in images:
                rows.append(row)
            else:
                astray.append(f"annotation {row.get('id')}")
        self.notes += noted("annotations of images not listed, left out", astray)
        ids = [row.get("id") for row in rows]
        if len(set(ids)) < len(ids) or 0 in ids or None in ids:
            self.notes.append("annotation ids repeat, begin at 0 or are absent; numbered anew")
        return rows

    def _points(self, row: dict) -> np.ndarray:
        """(S, 3) points of an annotation, in the columns of its category's names."""
        points = np.zeros((self._num_keypoints, 3))
        values = row.get("keypoints")
        if not values:
            return points
        category = self._categories[row["category_id"]]
        where = f"{self._where}: annotation {row.get('id')}"
        if not category.keypoints:
            raise ValueError(
                f"{self._where} does not name the keypoints of category '{category.name}'; list "
                "them under 'keypoints' in a mapping"
            )
        if not isinstance(values, list) or not all(map(is_number, values)):
            raise ValueError(f"{where} has keypoints that are not finite numbers; correct them")
        if len(values) != 3 * len(category.keypoints):
            raise ValueError(
                f"{where} has {len(values)} values for {len(category.keypoints)} keypoints; "
                "expected x, y, visibility of each"
            )
        given = np.array(values, dtype=float).reshape(-1, 3)
        if not np.isin(given[:, 2], (0, 1, 2)).all():
            raise ValueError(
                f"{where} has a visibility other than 0, 1, 2; scores belong into a file of "
                "results, given as predictions"
            )
        points[category.columns] = given
        return points

    def _boxes(
        self, rows: list[dict], points: list[np.ndarray], sizes: list[SizePx]
    ) -> list[BoxPx | None]:
        """Boxes as x, y, width, height, of whatever form they are; None where there is none."""
        boxes = np.full((len(rows), 4), np.nan)
        for index, row in enumerate(rows):
            box = row.get("bbox")
            if box and not (len(box) == 4 and all(map(is_number, box))):
                raise ValueError(f"{self._where}: annotation {row.get('id')} has the box {box}")
            if box:
                boxes[index] = box
        where = np.array([f"annotation {row.get('id', '?')}" for row in rows])
        size = np.array(sizes, float).reshape(-1, 2)
        there = np.isfinite(boxes[:, 0])
        several = np.array([len(xy) > 1 for xy in points], dtype=bool)
        judged = np.flatnonzero(there & several)
        low, high = (
            np.array([edge(points[i], axis=0) for i in judged]).reshape(-1, 2)
            for edge in (np.min, np.max)
        )
        form = likely_form(boxes[judged], low, high, size[judged])
        if form.name != STATED:
            self.notes.append(
                f"boxes are not {STATED}; {form.name}, which fits points and image of "
                f"{form.fraction:.0%} of the animals ({form.stated_fraction:.0%} as stated): put "
                "right"
            )
        boxes = FORMS[form.name](boxes, size)
        fit = fits(boxes[judged], low, high, size[judged])
        astray = where[judged[~fit]].tolist()
        self.notes += noted("boxes that leave a labelled point outside, or the image", astray)
        flat = there & (boxes[:, 2:].min(axis=1) <= 0)
        self.notes += noted(
            "boxes without area, taken anew around the points", where[flat].tolist()
        )
        kept = there & ~flat
        return [as_box(box) if is_kept else None for box, is_kept in zip(boxes, kept, strict=True)]

    def _instance(self, row: dict, points: np.ndarray, box: BoxPx | None) -> Instance:
        category = self._categories[row["category_id"]]
        scores = None
        if row.get("keypoint_scores") is not None:
            scores = np.zeros(self._num_keypoints)
            scores[category.columns] = row["keypoint_scores"]
        return Instance(
            box,
            points,
            category.name,
            scores=scores,
            score=float(row["score"]) if is_number(row.get("score")) else None,
            area_px2=float(row["area"]) if has_area(row) else None,
            crowd=bool(row.get("iscrowd")),
            outline=row.get("segmentation") or None,
        )
