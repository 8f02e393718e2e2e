"""COCO keypoint JSON as tools and datasets write it, with what they get wrong.

Put right and said: repeated categories and images, width and height or boxes in another order,
annotations of no image, wrong counts. Keypoints of several categories share one list of names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equikpt.core.coco.checks import has_area, is_number
from equikpt.core.coco.file import as_number, load_coco
from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.boxes import read_boxes
from equikpt.data_tools.convert.coco_files import annotation_files, image_folders, left_out
from equikpt.data_tools.convert.images import ImageFolders, SizeLedger, output_names, sizes_px
from equikpt.data_tools.convert.records import (
    Instance,
    LabelledImage,
    SourceDataset,
)
from equikpt.data_tools.convert.schemes import KeypointScheme


@dataclass
class _Category:
    name: str
    keypoints: tuple[str, ...]
    places: list[int] = field(default_factory=list)


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read COCO JSON.

    Args:
        source: An annotation file, or a folder with one for each split.
        scheme: Names the keypoints where the file does not.
        images: Folder of the images, by default looked for around the file.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If it is no COCO keypoint JSON.
    """
    files = annotation_files(source)
    dataset = read_files(files, scheme.keypoints, images)
    dataset.notes += left_out(source, files)
    return dataset


def read_files(
    files: dict[str, Path], names: Sequence[str], images: Path | None = None
) -> SourceDataset:
    """Read COCO JSON of known files.

    Args:
        files: Annotation file of each split.
        names: Keypoints in file order, for files that do not name them.
        images: Folder of the images.
    """
    contents = {split: load_coco(path) for split, path in files.items()}
    folders = {split: image_folders(path, split, images) for split, path in files.items()}
    labels = {split: str(path) for split, path in files.items()}
    return from_contents(contents, labels, folders, names)


def from_contents(
    contents: dict[str, dict],
    labels: dict[str, str],
    folders: dict[str, ImageFolders],
    names: Sequence[str],
) -> SourceDataset:
    """COCO dicts as a dataset.

    Args:
        contents: COCO dict of each split.
        labels: What messages call each.
        folders: Where the images of each lie.
        names: Keypoints in file order, for files that do not name them.

    Raises:
        ValueError: If a dict is no sound COCO.
    """
    dataset = SourceDataset(splits={})
    tables = {
        split: _categories(content["categories"], labels[split], tuple(names), dataset.notes)
        for split, content in contents.items()
    }
    every = [category for table in tables.values() for category in table.values()]
    dataset.keypoints = tuple(dict.fromkeys(name for row in every for name in row.keypoints))
    for category in every:
        category.places = [dataset.keypoints.index(name) for name in category.keypoints]
    for split, content in contents.items():
        notes: list[str] = []
        file = _File(content, labels[split], tables[split], len(dataset.keypoints), notes)
        dataset.splits[split] = file.images(folders[split])
        dataset.notes += [f"{split}: {note}" if split else note for note in notes]
    return dataset


def _categories(
    rows: list[dict], where: str, names: tuple[str, ...], notes: list[str]
) -> dict[object, _Category]:
    table: dict[object, _Category] = {}
    repeated: list[str] = []
    for row in rows:
        if "id" not in row or "name" not in row:
            raise ValueError(f"{where} has a category without id or name: {row}; add both")
        category = _Category(str(row["name"]), tuple(map(str, row.get("keypoints") or names)))
        if len(set(category.keypoints)) < len(category.keypoints):
            raise ValueError(
                f"{where}: category '{category.name}' names a keypoint twice; each needs its own "
                "name"
            )
        id_ = as_number(row["id"])
        if id_ in table:
            if table[id_] != category:
                raise ValueError(
                    f"{where}: the categories '{table[id_].name}' and '{category.name}' "
                    f"share the id {id_}; give each its own"
                )
            repeated.append(category.name)
        table[id_] = category
    for name, count in Counter(repeated).items():
        notes.append(f"category '{name}' stands {count + 1} times in the file, taken once")
    return table


class _File:
    """One COCO dict, read part by part."""

    def __init__(
        self,
        content: dict,
        where: str,
        categories: dict[object, _Category],
        num_keypoints: int,
        notes: list[str],
    ) -> None:
        self._content, self._where, self._categories = content, where, categories
        self._num_keypoints, self._notes = num_keypoints, notes

    def images(self, folders: ImageFolders) -> list[LabelledImage]:
        """The images with their animals, in the order of the file."""
        rows = self._image_rows()
        annotations = self._annotation_rows(rows)
        points = [self._points(row) for row in annotations]
        labelled = [xyv[xyv[:, 2] > 0, :2] for xyv in points]
        of_image: dict[object, list[int]] = {}
        for index, row in enumerate(annotations):
            of_image.setdefault(row["image_id"], []).append(index)
        found = folders.find_all([[name] for name, _ in rows.values()])
        names = dict(zip(rows, output_names([name for name, _ in rows.values()]), strict=True))
        paths = dict(zip(rows, found, strict=True))
        ledger = SizeLedger(sizes_px(found))
        sizes = {
            id_: ledger.settle(
                name,
                paths[id_],
                stated,
                np.concatenate([np.zeros((0, 2)), *(labelled[i] for i in of_image.get(id_, ()))]),
            )
            for id_, (name, stated) in rows.items()
        }
        boxes, notes = read_boxes(
            [self._box(row) for row in annotations],
            labelled,
            [sizes[row["image_id"]] for row in annotations],
            [f"annotation {row.get('id', '?')}" for row in annotations],
        )
        self._notes += [*notes, *ledger.notes()]
        return [
            LabelledImage(
                paths[id_],
                *sizes[id_],
                tuple(
                    self._instance(annotations[index], points[index], boxes[index])
                    for index in of_image.get(id_, ())
                ),
                names[id_],
            )
            for id_ in rows
        ]

    def _image_rows(self) -> dict[object, tuple[str, tuple[int, int] | None]]:
        """Name and stated size by id."""
        rows: dict[object, tuple[str, tuple[int, int] | None]] = {}
        repeated = []
        for row in self._content["images"]:
            if row.get("id") is None or not isinstance(row.get("file_name"), str):
                raise ValueError(f"{self._where} has an image without id or file_name: {row}")
            size = row.get("width"), row.get("height")
            stated = (round(size[0]), round(size[1])) if all(map(is_number, size)) else None
            entry = row["file_name"], stated
            id_ = as_number(row["id"])
            if id_ in rows:
                if rows[id_] != entry:
                    raise ValueError(
                        f"{self._where}: the images {rows[id_][0]} and {entry[0]} share "
                        f"the id {id_}; give each its own"
                    )
                repeated.append(entry[0])
            rows[id_] = entry
        if repeated:
            self._notes.append(
                f"images listed several times, taken once ({format_examples(repeated)})"
            )
        return rows

    def _annotation_rows(self, images: dict) -> list[dict]:
        """Annotations of listed images and categories."""
        rows, astray, numbers = [], [], []
        for given in self._content["annotations"]:
            references = {key: as_number(given.get(key)) for key in ("image_id", "category_id")}
            row = {**given, **references}
            if row.get("category_id") not in self._categories:
                raise ValueError(
                    f"{self._where}: annotation {row.get('id')} is of category "
                    f"{row.get('category_id')}, which the file does not list"
                )
            if row.get("image_id") in images:
                rows.append(row)
                numbers.append(row.get("id"))
            else:
                astray.append(f"annotation {row.get('id')}")
        if astray:
            self._notes.append(
                f"annotations of images not listed, left out ({format_examples(astray)})"
            )
        if len(set(numbers)) < len(numbers) or 0 in numbers or None in numbers:
            self._notes.append("annotation ids repeat, begin at 0 or are absent; numbered anew")
        return rows

    def _points(self, row: dict) -> np.ndarray:
        """(S, 3) points of an annotation, at the places of its category's names."""
        points = np.zeros((self._num_keypoints, 3))
        values = row.get("keypoints")
        if not values:
            return points
        category = self._categories[row["category_id"]]
        where = f"{self._where}: annotation {row.get('id')}"
        if not category.keypoints:
            raise ValueError(
                f"{self._where} does not name the keypoints of category '{category.name}'; list "
                "them under 'keypoints' in a --mapping"
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
                "results, given with --predictions"
            )
        points[category.places] = given
        return points

    def _box(self, row: dict) -> np.ndarray | None:
        box = row.get("bbox")
        if not box:
            return None
        if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
            raise ValueError(f"{self._where}: annotation {row.get('id')} has the box {box}")
        return np.array(box, dtype=float)

    def _instance(self, row: dict, points: np.ndarray, box: tuple | None) -> Instance:
        category = self._categories[row["category_id"]]
        scores = None
        if row.get("keypoint_scores") is not None:
            scores = np.zeros(self._num_keypoints)
            scores[category.places] = row["keypoint_scores"]
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
