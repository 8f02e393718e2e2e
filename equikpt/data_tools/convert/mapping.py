"""From the source's keypoints to the target's, with a box for every animal, and to COCO JSON."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import count

import numpy as np

from equikpt.data_tools.convert.boxes import MARGIN, BoxPx, box_around, misses_points
from equikpt.data_tools.convert.records import (
    NO_CATEGORY,
    Instance,
    LabelledImage,
    SourceDataset,
    noted,
)
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.targets import Target
from equikpt_runtime.boxes import BOX_AREA_FRACTION

DECIMALS_PX = 3

_NOTES = {
    "outside": "labelled points outside their image dropped",
    "around": "instances without a box: one is made around their points, with a margin of "
    f"{MARGIN:.0%}",
    "away": "instances whose box is away from their points: one is made around these",
    "bare": "instances with neither a box nor a point left out",
}


def map_keypoints(
    dataset: SourceDataset, scheme: KeypointScheme, target: Target, boxes: bool = True
) -> tuple[SourceDataset, list[str]]:
    """The dataset with the K keypoints of the target, and notes on what was changed.

    A labelled point outside its image becomes not labelled: no heatmap can show it. A point that
    is not labelled becomes 0, 0, 0; exporters leave template coordinates there.

    Args:
        dataset: With the source's keypoints.
        scheme: Where each goes.
        target: Names of the K keypoints, and whether the box is the image.
        boxes: Whether boxes are written, so that those made here are worth a note.

    Raises:
        ValueError: If the target has one instance an image and the source has several.
    """
    notes: list[str] = []
    splits: dict[str, list[LabelledImage]] = {}
    for split, images in dataset.splits.items():
        changed: dict[str, list[str]] = defaultdict(list)
        splits[split] = [
            image.having(_instances(image, scheme, target, changed)) for image in images
        ]
        for key, text in _NOTES.items():
            if boxes or key != "around":
                notes += noted(f"{split}: {text}", changed[key])
    flip_idx = scheme.flip_idx or dataset.flip_idx
    goal = scheme.mapping.get
    partner = {goal(scheme.keypoints[i]): goal(scheme.keypoints[j]) for i, j in enumerate(flip_idx)}
    flip = tuple(target.names.index(partner.get(name) or name) for name in target.names if partner)
    ends = [(goal(start), goal(end)) for start, end in dataset.links]
    links = tuple((start, end) for start, end in ends if start and end)
    return SourceDataset(splits, dataset.notes, target.names, flip, links), notes


def _instances(
    image: LabelledImage, scheme: KeypointScheme, target: Target, changed: dict[str, list[str]]
) -> list[Instance]:
    instances = []
    for instance in image.instances:
        box_px = _box(instance, image, target, changed)
        if box_px is None:
            changed["bare"].append(image.file_name)
            continue
        points, scores = np.zeros((len(target.names), 3)), np.zeros(len(target.names))
        for source, name in scheme.mapping.items():
            index, goal = scheme.keypoints.index(source), target.names.index(name)
            x, y, visibility = instance.keypoints[index]
            if instance.scores is not None:
                scores[goal] = instance.scores[index]
            if 0 <= x <= image.width and 0 <= y <= image.height and visibility:
                points[goal] = (x, y, visibility)
            elif visibility:
                changed["outside"].append(image.file_name)
        own = scores if instance.scores is not None else None
        instances.append(replace(instance, box_px=box_px, keypoints=points, scores=own))
    if target.whole_image:
        instances = [instance for instance in instances if len(instance.labelled)]
        if len(instances) > 1:
            raise ValueError(
                f"{image.file_name} has {len(instances)} instances with labelled points; "
                f"{target.name} has one an image: keep one"
            )
    return instances


def _box(
    instance: Instance, image: LabelledImage, target: Target, changed: dict[str, list[str]]
) -> BoxPx | None:
    if target.whole_image:
        return 0.0, 0.0, float(image.width), float(image.height)
    away = instance.box_px is not None and misses_points(instance.box_px, instance.labelled)
    if instance.box_px is not None and not away:
        return instance.box_px
    # All of the source's points: those without a target tell where the animal is, too.
    box_px = box_around(instance.labelled, image.width, image.height)
    if box_px is not None:
        changed["away" if away else "around"].append(image.file_name)
    return box_px


def to_coco(
    dataset: SourceDataset, scheme: KeypointScheme, target: Target
) -> tuple[dict[str, dict], list[str]]:
    """One COCO dict a split, ids unique over all splits, and the notes of :func:`map_keypoints`."""
    mapped, notes = map_keypoints(dataset, scheme, target)
    # COCO counts the ends of a link from 1.
    number = {name: index for index, name in enumerate(target.names, start=1)}
    names = (target.category,) if target.category else mapped.categories() or ("",)
    links = [(link.start, link.end) for link in target.links] or mapped.links
    categories = [
        {
            "id": index,
            "name": name or NO_CATEGORY,
            "supercategory": target.supercategory,
            "keypoints": list(target.names),
            "skeleton": [[number[start], number[end]] for start, end in links],
        }
        for index, name in enumerate(names, start=1)
    ]
    id_of = {row["name"]: row["id"] for row in categories}
    contents: dict[str, dict] = {}
    image_ids, annotation_ids = count(1), count(1)
    for split, images in mapped.splits.items():
        image_rows, annotations = [], []
        for image in images:
            image_id = next(image_ids)
            size = {"width": image.width, "height": image.height}
            image_rows.append({"id": image_id, "file_name": image.file_name, **size})
            for instance in image.instances:
                category_id = id_of[target.category or instance.named().category]
                ids = {"id": next(annotation_ids), "image_id": image_id, "category_id": category_id}
                annotations.append(ids | _annotation(instance, target))
        contents[split] = {
            "info": _info(split, scheme, target, mapped.flip_idx),
            "images": image_rows,
            "annotations": annotations,
            "categories": categories,
        }
    return contents, notes


def _annotation(instance: Instance, target: Target) -> dict[str, object]:
    box_px = [round(value, DECIMALS_PX) for value in instance.box_px or ()]
    keypoints: list[float | int] = []
    for x, y, visibility in instance.keypoints.tolist():
        keypoints += [round(x, DECIMALS_PX), round(y, DECIMALS_PX), int(visibility)]
    fraction = 1.0 if target.whole_image else BOX_AREA_FRACTION
    stated = None if target.whole_image else instance.area_px2
    optional = {
        "segmentation": instance.outline,
        "score": instance.score,
        "keypoint_scores": None if instance.scores is None else instance.scores.tolist(),
    }
    return {
        "bbox": box_px,
        "area": round(stated or fraction * box_px[2] * box_px[3], DECIMALS_PX),
        "iscrowd": int(instance.crowd),
        "num_keypoints": len(instance.labelled),
        "keypoints": keypoints,
    } | {key: value for key, value in optional.items() if value is not None}


def _info(
    split: str, scheme: KeypointScheme, target: Target, flip_idx: tuple[int, ...]
) -> dict[str, object]:
    area = f"the source's, or {BOX_AREA_FRACTION} of the box where it states none"
    box = f"the source's, or around the labelled points with a margin of {MARGIN}"
    return {
        "description": f"{target.name} keypoints, {split} split, converted by equikpt",
        "area": "the image" if target.whole_image else area,
        "bbox": "the image" if target.whole_image else box,
        "mapping": scheme.mapping,
        **({} if target.keypoints or not flip_idx else {"flip_idx": list(flip_idx)}),
    }
