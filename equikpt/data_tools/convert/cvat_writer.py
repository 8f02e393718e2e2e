"""Writing CVAT's XML "for images 1.1": one skeleton an animal, to upload as annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from equikpt.data_tools.convert.coco import NO_CATEGORY
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.records import Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.writer import Options

ANNOTATIONS_FILE = "annotations.xml"

DECIMALS_PX = 3


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write the skeletons of a dataset.

    Args:
        folder: Empty folder to write into.
        dataset: Mapped and complete.
        options: Not needed: no image is written.

    Returns:
        The dataset as written: animals without a point, which no skeleton can be, gone.
    """
    written = SourceDataset(
        {split: [_pointed(image) for image in images] for split, images in dataset.splits.items()},
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
    number = 0
    for split, images in written.splits.items():
        for image in images:
            row = ElementTree.SubElement(
                root,
                "image",
                id=str(number),
                name=image.file_name,
                subset=split,
                width=str(image.width),
                height=str(image.height),
            )
            for instance in image.instances:
                _add_skeleton(row, instance, dataset.keypoints)
            number += 1
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(
        folder / ANNOTATIONS_FILE, encoding="utf-8", xml_declaration=True
    )
    return written


def _pointed(image: LabelledImage) -> LabelledImage:
    instances = [
        replace(instance, category=instance.category or NO_CATEGORY)
        for instance in image.instances
        if len(instance.labelled)
    ]
    return replace(with_instances(image, instances), name=image.file_name)


def _add_label(labels: ElementTree.Element, name: str, kind: str) -> ElementTree.Element:
    label = ElementTree.SubElement(labels, "label")
    ElementTree.SubElement(label, "name").text = name
    ElementTree.SubElement(label, "type").text = kind
    return label


def _add_skeleton(row: ElementTree.Element, instance: Instance, keypoints: tuple[str, ...]) -> None:
    source = "manual" if instance.scores is None else "auto"
    skeleton = ElementTree.SubElement(
        row, "skeleton", label=instance.category, source=source, z_order="0"
    )
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
