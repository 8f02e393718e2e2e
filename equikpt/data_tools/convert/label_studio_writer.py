"""Writing Label Studio's JSON: tasks to import, and the labelling interface they belong to.

Labels become annotations, predictions become pre-annotations with their scores.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from equikpt.data_tools.convert.coco import NO_CATEGORY
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.label_studio import (
    INTERFACE_FILE,
    POINTS,
    RECTANGLES,
    names_without_folders,
)
from equikpt.data_tools.convert.records import (
    UNSPLIT,
    Instance,
    LabelledImage,
    SourceDataset,
)
from equikpt.data_tools.convert.writer import Options

TASKS_FILE = "tasks.json"

POINT_WIDTH_PERCENT = 0.5
"""Size of a point on the screen, as a percentage of the image's width."""


def write(folder: Path, dataset: SourceDataset, options: Options) -> SourceDataset:
    """Write the tasks of a dataset.

    Args:
        folder: Empty folder to write into.
        dataset: Mapped and complete; each instance has a box.
        options: What to put before an image's name.

    Returns:
        The dataset as written: without splits, and names without folders where those do not tell
        two images apart, since Label Studio does not tell folders from the rest of an address.
    """
    tasks = [
        _task(image, dataset.keypoints, options.image_prefix or "")
        for images in dataset.splits.values()
        for image in images
    ]
    (folder / TASKS_FILE).write_text(json.dumps(tasks, ensure_ascii=False, indent=1), "utf-8")
    classes = [name or NO_CATEGORY for name in dataset.categories()] or [NO_CATEGORY]
    interface = _interface(dataset.keypoints, classes)
    (folder / INTERFACE_FILE).write_text(interface, encoding="utf-8")
    return SourceDataset(
        {UNSPLIT: _as_read(list(dataset.images()))},
        [*dataset.notes, f"{INTERFACE_FILE} is the labelling interface that the tasks belong to"],
        dataset.keypoints,
    )


def _as_read(images: list[LabelledImage]) -> list[LabelledImage]:
    read = []
    names = names_without_folders([image.file_name for image in images])
    for image, name in zip(images, names, strict=True):
        instances = [
            replace(instance, category=instance.category or NO_CATEGORY)
            for instance in image.instances
        ]
        read.append(replace(with_instances(image, instances), name=name))
    return read


def _task(image: LabelledImage, keypoints: tuple[str, ...], prefix: str) -> dict[str, object]:
    result = [
        region
        for number, instance in enumerate(image.instances, start=1)
        for region in _regions(instance, number, image, keypoints)
    ]
    scores = [item.score for item in image.instances if item.score is not None]
    predicted = scores or any(item.scores is not None for item in image.instances)
    task: dict[str, object] = {
        "data": {"image": prefix + quote(image.file_name)},
        "annotations": [] if predicted or not result else [{"result": result}],
    }
    if predicted:
        prediction: dict[str, object] = {"model_version": "equikpt", "result": result}
        if scores:
            prediction["score"] = sum(scores) / len(scores)
        task["predictions"] = [prediction]
    return task


def _regions(
    instance: Instance, number: int, image: LabelledImage, keypoints: tuple[str, ...]
) -> list[dict[str, object]]:
    """The rectangle of an animal, and its points as children of it."""
    common = {
        "to_name": "image",
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
    }
    x, y, width, height = instance.box_px or (0.0, 0.0, 0.0, 0.0)
    box = {
        "x": 100 * x / image.width,
        "y": 100 * y / image.height,
        "width": 100 * width / image.width,
        "height": 100 * height / image.height,
        "rotation": 0,
        RECTANGLES: [instance.category or NO_CATEGORY],
    }
    own = f"animal{number}"
    regions: list[dict[str, object]] = [
        {"id": own, "type": RECTANGLES, "from_name": "boxes", "value": box, **common}
    ]
    for index, (name, (x, y, visibility)) in enumerate(
        zip(keypoints, instance.keypoints.tolist(), strict=True)
    ):
        if not visibility:
            continue
        point = {
            "x": 100 * x / image.width,
            "y": 100 * y / image.height,
            "width": POINT_WIDTH_PERCENT,
            POINTS: [name],
        }
        region = {"id": f"{own}.{index}", "parentID": own, "type": POINTS, **common}
        region |= {"from_name": "keypoints", "value": point}
        if instance.scores is not None:
            region["score"] = float(instance.scores[index])
        regions.append(region)
    return regions


def _interface(keypoints: tuple[str, ...], classes: list[str]) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    for tag, name, labels in (
        ("KeyPointLabels", "keypoints", keypoints),
        ("RectangleLabels", "boxes", classes),
    ):
        control = ElementTree.SubElement(view, tag, name=name, toName="image")
        for label in labels:
            ElementTree.SubElement(control, "Label", value=label)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
