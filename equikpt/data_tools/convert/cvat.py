"""CVAT: its XML "for images 1.1", and the backup of a project or task.

An animal is a skeleton, or points and a rectangle of one group. A point that is outside is not
labelled, an occluded one is hidden.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from equikpt.data_tools.convert import cvat_backup
from equikpt.data_tools.convert.archive import unpack
from equikpt.data_tools.convert.coco_files import split_named
from equikpt.data_tools.convert.cvat_shapes import ImageShapes, box_around_rectangle, dataset_of
from equikpt.data_tools.convert.grouping import LooseBox, LoosePoint
from equikpt.data_tools.convert.images import ImageFolders
from equikpt.data_tools.convert.records import Instance, SourceDataset, safe_name
from equikpt.data_tools.convert.schemes import KeypointScheme

READ_TAGS = {"skeleton", "points", "box"}


def read(source: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an export or a backup of CVAT.

    Args:
        source: ``annotations.xml``, a folder with it, or a backup with ``project.json`` or
            ``task.json``; a zip of any of them.
        scheme: Its keypoints, if any, give the order; by default that of the labels.
        images: Folder of the images, by default looked for beside the labels.

    Raises:
        FileNotFoundError: If there is neither an export nor a backup.
        ValueError: If it is of another kind, such as a video's.
    """
    root = unpack(source) if source.suffix.lower() == ".zip" else source
    if root.is_dir() and ((root / "project.json").is_file() or (root / "task.json").is_file()):
        return cvat_backup.read(root, scheme, images)
    path = root / "annotations.xml" if root.is_dir() else root
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotations.xml, project.json or task.json in {source}; export it as 'CVAT for "
            "images 1.1' or as a backup"
        )
    tree = _parse(path)
    names = scheme.keypoints or _keypoint_names(tree)
    places = {name: index for index, name in enumerate(names)}
    shapes = [_shapes(row, places, path) for row in tree.iter("image")]
    if not shapes:
        raise ValueError(
            f"{path} has no <image>; export the task as 'CVAT for images 1.1', not 'for video'"
        )
    folder = images or path.parent
    return dataset_of(shapes, names, ImageFolders([folder, folder / "images"], root=folder))


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not XML ({error}); export it again") from error


def _keypoint_names(tree: ElementTree.Element) -> tuple[str, ...]:
    """Sublabels of skeletons and labels of points, in the order of the labels and of the shapes."""
    described = [
        label.findtext("name", "")
        for label in tree.iter("label")
        if label.find("parent") is not None or label.findtext("type") == "points"
    ]
    drawn = [str(shape.get("label")) for shape in tree.iter("points")]
    return tuple(dict.fromkeys([*described, *drawn]))


def _shapes(row: ElementTree.Element, places: dict[str, int], path: Path) -> ImageShapes:
    where = f"{path}, {row.get('name')}"
    try:
        size = round(_number(row.attrib["width"])), round(_number(row.attrib["height"]))
        shapes = ImageShapes(
            safe_name(row.attrib["name"]), size, split_named(row.get("subset") or "")
        )
        for shape in row:
            if shape.tag == "skeleton":
                shapes.instances.append(_skeleton(shape, places))
            elif shape.tag == "points":
                x, y = _xy(shape)
                label, group = shape.attrib["label"], _group(shape)
                if label in places:
                    shapes.points.append(LoosePoint(label, x, y, _visibility(shape), group))
            elif shape.tag == "box":
                left, top, right, bottom = (
                    _number(shape.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")
                )
                turned = _number(shape.get("rotation") or "0")
                box = box_around_rectangle(left, top, right, bottom, turned)
                shapes.boxes.append(LooseBox(box, shape.attrib["label"], _group(shape)))
            else:
                shapes.others.append(shape.tag)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where} is no image of CVAT's XML 1.1 ({error!r})") from error
    return shapes


def _skeleton(shape: ElementTree.Element, places: dict[str, int]) -> Instance:
    keypoints = np.zeros((len(places), 3))
    for point in shape.iter("points"):
        visibility = _visibility(point)
        if visibility and point.get("label") in places:
            keypoints[places[point.attrib["label"]]] = (*_xy(point), visibility)
    return Instance(None, keypoints, shape.get("label") or "")


def _xy(shape: ElementTree.Element) -> tuple[float, float]:
    pairs = [tuple(map(_number, pair.split(","))) for pair in shape.attrib["points"].split(";")]
    if len(pairs) != 1 or len(pairs[0]) != 2:
        raise ValueError(
            f"'{shape.get('label')}' has {len(pairs)} points in one shape; expected a skeleton, or "
            "one point for each label"
        )
    return pairs[0][0], pairs[0][1]


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is no finite number")
    return number


def _visibility(shape: ElementTree.Element) -> int:
    if shape.get("outside") == "1":
        return 0
    return 1 if shape.get("occluded") == "1" else 2


def _group(shape: ElementTree.Element) -> str:
    group = shape.get("group_id") or ""
    return "" if group == "0" else group
