"""CVAT's XML "for images 1.1", read and written; shapes, which its backups have as well.

An animal is a skeleton, or points and a rectangle of one group. A point that is outside is not
labelled, an occluded one is hidden.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from equikpt.data_tools.convert.boxes import BoxPx
from equikpt.data_tools.convert.grouping import (
    LooseBox,
    LoosePoint,
    Remark,
    animals,
    remarks_noted,
    unread,
)
from equikpt.data_tools.convert.images import ImageFolders, SizePx, labelled_sizes
from equikpt.data_tools.convert.names import safe_name, split_named
from equikpt.data_tools.convert.records import NO_CATEGORY, Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.writer import Options

ANNOTATIONS_FILE = "annotations.xml"

NUMBERS = {"skeleton": 0, "rectangle": 4, "points": 2}
"""Kinds of shapes that are read, and how many numbers each has."""

DECIMALS_PX = 3

_ATTRIBUTE = re.compile(r'data-([\w-]+)="([^"]*)"')


@dataclass(frozen=True)
class Shape:
    """A shape on an image.

    Args:
        kind: ``skeleton``, ``rectangle``, ``points``, or one that is not read.
        label: Its class or, of points, its keypoint.
        numbers: x and y, or left, top, right and bottom, px.
        visibility: 0, 1, 2 of points.
        group: The same for points and rectangles of one animal, empty if not stated.
        rotation_deg: Of a rectangle, clockwise about its centre.
        elements: The points of a skeleton.
    """

    kind: str
    label: str
    numbers: Sequence[float] = ()
    visibility: int = 2
    group: str = ""
    rotation_deg: float = 0.0
    elements: Sequence[Shape] = ()


@dataclass
class ShapedImage:
    """An image by name, size in px and split, with its shapes; where a backup has its file."""

    name: str
    size: SizePx
    split: str
    shapes: list[Shape] = field(default_factory=list)
    location: str = ""


def read(root: Path, scheme: KeypointScheme, images: Path | None = None) -> SourceDataset:
    """Read an export; its keypoints are in the order of the labels, or as the scheme has them."""
    path = root / ANNOTATIONS_FILE if root.is_dir() else root
    if not path.is_file():
        raise FileNotFoundError(
            f"no annotations.xml, project.json or task.json in {root}; export it as 'CVAT for "
            "images 1.1' or as a backup"
        )
    try:
        tree = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not XML ({error}); export it again") from error
    shaped = [_image(row, path) for row in tree.iter("image")]
    if not shaped:
        raise ValueError(
            f"{path} has no <image>; export the task as 'CVAT for images 1.1', not 'for video'"
        )
    folder = images or path.parent
    folders = ImageFolders([folder, folder / "images"], root=folder)
    dataset = dataset_of(shaped, scheme.keypoints or _keypoint_names(tree), folders)
    dataset.links = links_of_drawings(label.findtext("svg", "") for label in tree.iter("label"))
    return dataset


def _keypoint_names(tree: ElementTree.Element) -> tuple[str, ...]:
    """Sublabels of skeletons and labels of points, in the order of the labels and of the shapes."""
    described = [
        label.findtext("name", "")
        for label in tree.iter("label")
        if label.find("parent") is not None or label.findtext("type") == "points"
    ]
    drawn = [str(shape.get("label")) for shape in tree.iter("points")]
    return tuple(dict.fromkeys([*described, *drawn]))


def links_of_drawings(drawings: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The lines of skeletons, by the labels of their ends, from the SVG that CVAT draws them by."""
    links: dict[tuple[str, str], None] = {}
    for drawing in drawings:
        tags = [
            dict(_ATTRIBUTE.findall(tag)) for tag in re.findall(r"<(?:line|circle)\b[^>]*", drawing)
        ]
        label_of = {tag.get("node-id"): tag.get("label-name") for tag in tags if "node-id" in tag}
        for tag in tags:
            ends = label_of.get(tag.get("node-from")), label_of.get(tag.get("node-to"))
            if ends[0] and ends[1]:
                links[html.unescape(ends[0]), html.unescape(ends[1])] = None
    return tuple(links)


def _image(row: ElementTree.Element, path: Path) -> ShapedImage:
    try:
        width, height = (round(_number(row.attrib[key])) for key in ("width", "height"))
        name, split = safe_name(row.attrib["name"]), split_named(row.get("subset") or "")
        return ShapedImage(name, (width, height), split, [_shape(shape) for shape in row])
    except (KeyError, TypeError, ValueError) as error:
        where = f"{path}, {row.get('name')}"
        reason = error if isinstance(error, ValueError) else repr(error)
        raise ValueError(f"{where} is no image of CVAT's XML 1.1: {reason}") from error


def _shape(shape: ElementTree.Element) -> Shape:
    if shape.tag == "skeleton":
        elements = [_shape(point) for point in shape.iter("points") if point.get("outside") != "1"]
        return Shape("skeleton", shape.get("label") or "", elements=elements)
    group = "" if shape.get("group_id") == "0" else shape.get("group_id") or ""
    if shape.tag == "points":
        pairs = [tuple(map(_number, pair.split(","))) for pair in shape.attrib["points"].split(";")]
        if len(pairs) != 1 or len(pairs[0]) != 2:
            raise ValueError(
                f"'{shape.get('label')}' has {len(pairs)} points in one shape; draw a skeleton, or "
                "each point as a shape of its own"
            )
        visibility = 0 if shape.get("outside") == "1" else 2 - (shape.get("occluded") == "1")
        return Shape("points", shape.attrib["label"], pairs[0], visibility, group)
    if shape.tag == "box":
        edges = [_number(shape.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        rotation = _number(shape.get("rotation") or "0")
        return Shape("rectangle", shape.attrib["label"], edges, 2, group, rotation)
    return Shape(shape.tag, "")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is no finite number")
    return number


def dataset_of(
    images: Sequence[ShapedImage], names: tuple[str, ...], folders: ImageFolders
) -> SourceDataset:
    """Turn images with shapes into images with animals.

    Args:
        images: All images, labelled or not.
        names: The S keypoints.
        folders: Where the images may lie.
    """
    dataset = SourceDataset(keypoints=names)
    paths = folders.find_all([[*filter(None, (image.location,)), image.name] for image in images])
    instances, remarks = [], []
    for image in images:
        found, own_remarks = _instances(image.shapes, names)
        instances.append(found)
        remarks.append((image.name, own_remarks))
    dataset.notes += remarks_noted(remarks)
    sizes, notes = labelled_sizes(
        [image.name for image in images],
        paths,
        [image.size for image in images],
        [np.concatenate([np.zeros((0, 2)), *(item.labelled for item in own)]) for own in instances],
    )
    for image, path, size, own in zip(images, paths, sizes, instances, strict=True):
        dataset.splits.setdefault(image.split, []).append(
            LabelledImage(path, *size, tuple(own), image.name)
        )
    dataset.notes += notes
    others = [s.kind for image in images for s in image.shapes if s.kind not in NUMBERS]
    dataset.notes += unread("shapes that are neither skeletons, points nor rectangles", others)
    return dataset


def _instances(
    shapes: Iterable[Shape], names: tuple[str, ...]
) -> tuple[list[Instance], list[Remark]]:
    skeletons, points, boxes = [], [], []
    for shape in shapes:
        if shape.kind == "skeleton":
            keypoints = np.zeros((len(names), 3))
            for point in shape.elements:
                if point.label in names:
                    keypoints[names.index(point.label)] = (*point.numbers, point.visibility)
            skeletons.append(Instance(None, keypoints, shape.label))
        elif shape.kind == "points" and shape.label in names:
            x, y = shape.numbers
            points.append(LoosePoint(shape.label, x, y, shape.visibility, shape.group))
        elif shape.kind == "rectangle":
            boxes.append(LooseBox(_box_around(shape), shape.label, shape.group))
    loose, remarks = animals(points, boxes, names)
    return [*skeletons, *loose], remarks


def _box_around(shape: Shape) -> BoxPx:
    """The upright box around a rectangle, which may be turned."""
    left, top, right, bottom = shape.numbers
    angle = math.radians(shape.rotation_deg)
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = abs(right - left), abs(bottom - top)
    turned_width = width * cosine + height * sine
    turned_height = width * sine + height * cosine
    x, y = (left + right - turned_width) / 2, (top + bottom - turned_height) / 2
    return x, y, turned_width, turned_height


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write one skeleton an animal, to upload as annotations; animals without a point go."""
    written = SourceDataset(
        {
            split: [
                image.having([item.named() for item in image.instances if len(item.labelled)])
                for image in images
            ]
            for split, images in dataset.splits.items()
        },
        [*dataset.notes],
        dataset.keypoints,
    )
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    labels = ElementTree.SubElement(task, "labels")
    for category in written.categories() or (NO_CATEGORY,):
        _add_label(labels, category, "skeleton")
        for name in dataset.keypoints:
            ElementTree.SubElement(_add_label(labels, name, "points"), "parent").text = category
    placed = [(split, image) for split, images in written.splits.items() for image in images]
    for number, (split, image) in enumerate(placed):
        size = {"width": str(image.width), "height": str(image.height)}
        named = {"id": str(number), "name": image.file_name, "subset": split}
        row = ElementTree.SubElement(root, "image", named | size)
        for instance in image.instances:
            _add_skeleton(row, instance, dataset.keypoints)
    ElementTree.indent(root)
    path = folder / ANNOTATIONS_FILE
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return written


def _add_label(labels: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    label = ElementTree.SubElement(labels, "label")
    ElementTree.SubElement(label, "name").text = name
    ElementTree.SubElement(label, "type").text = kind
    return label


def _add_skeleton(row: ElementTree.Element, instance: Instance, keypoints: tuple[str, ...]) -> None:
    source = "manual" if instance.scores is None else "auto"
    own = {"label": instance.category, "source": source, "z_order": "0"}
    skeleton = ElementTree.SubElement(row, "skeleton", own)
    for name, (x, y, visibility) in zip(keypoints, instance.keypoints.tolist(), strict=True):
        ElementTree.SubElement(
            skeleton,
            "points",
            label=name,
            source=source,
            outside=str(int(visibility == 0)),
            occluded=str(int(visibility == 1)),
            points=f"{x:.{DECIMALS_PX}f},{y:.{DECIMALS_PX}f}",
        )
