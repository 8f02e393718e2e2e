"""From the source's keypoints to the target's, with a box for every animal."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np

from equikpt.core.issues import format_examples
from equikpt.data_tools.convert.boxes import MARGIN, box_around, misses_points
from equikpt.data_tools.convert.images import with_instances
from equikpt.data_tools.convert.records import BoxPx, Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.targets import Target

_NOTES = {
    "outside": "labelled points outside their image dropped",
    "around": f"animals without a box, taken around their points with a margin of {MARGIN:.0%}",
    "away": "animals whose box is away from their points, taken around these instead",
    "bare": "animals with neither a box nor a point left out",
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
            with_instances(image, _instances(image, scheme, target, changed)) for image in images
        ]
        notes += [
            f"{split}: {text} ({format_examples(changed[key])})"
            for key, text in _NOTES.items()
            if changed[key] and (boxes or key != "around")
        ]
    flip_idx = _target_flip(scheme.flip_idx or dataset.flip_idx, scheme, target)
    return SourceDataset(splits, dataset.notes, target.names, flip_idx), notes


def _target_flip(
    flip_idx: tuple[int, ...], scheme: KeypointScheme, target: Target
) -> tuple[int, ...]:
    """The flip of the source's S keypoints as one of the target's K; empty without one."""
    if not flip_idx:
        return ()
    partner = {
        scheme.mapping.get(name): scheme.mapping.get(scheme.keypoints[index])
        for name, index in zip(scheme.keypoints, flip_idx, strict=True)
    }
    return tuple(target.names.index(partner.get(name) or name) for name in target.names)


def _instances(
    image: LabelledImage, scheme: KeypointScheme, target: Target, changed: dict[str, list[str]]
) -> list[Instance]:
    instances = []
    for instance in image.instances:
        box_px = _box(instance, image, target, changed)
        if box_px is None:
            changed["bare"].append(image.file_name)
            continue
        points, scores, num_outside = _target_points(instance, image, scheme, target)
        changed["outside"] += [image.file_name] * num_outside
        instances.append(replace(instance, box_px=box_px, keypoints=points, scores=scores))
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


def _target_points(
    instance: Instance, image: LabelledImage, scheme: KeypointScheme, target: Target
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """(K, 3) points of the target, their (K,) scores if any, and how many lay outside."""
    points, scores = np.zeros((len(target.names), 3)), np.zeros(len(target.names))
    num_outside = 0
    for source, name in scheme.mapping.items():
        index, place = scheme.keypoints.index(source), target.names.index(name)
        x, y, visibility = instance.keypoints[index]
        if instance.scores is not None:
            scores[place] = instance.scores[index]
        if visibility == 0:
            continue
        if 0 <= x <= image.width and 0 <= y <= image.height:
            points[place] = (x, y, visibility)
        else:
            num_outside += 1
    return points, None if instance.scores is None else scores, num_outside
