"""From labelled pictures with source keypoints to COCO JSON with the target's."""

from __future__ import annotations

import numpy as np

from equikpt.data_tools.convert.records import SPLITS, Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.targets import Target
from equikpt.datasets.coco_checks import BOX_AREA_SHARE, named

CATEGORY_ID = 1
DECIMALS_PX = 3


def drop_repeated_sources(dataset: SourceDataset) -> None:
    """Remove from val and test the pictures of which an earlier split has a version.

    A score on pictures that were trained on says nothing. Train keeps its pictures.
    """
    seen: dict[str, str] = {}
    for split in SPLITS:
        images = dataset.splits.get(split, [])
        removed = [image for image in images if seen.get(image.source_name, split) != split]
        if removed:
            dataset.splits[split] = [image for image in images if image not in removed]
            names = ", ".join(
                f"{image.path.name} (in {seen[image.source_name]})" for image in removed
            )
            dataset.notes.append(
                f"{split}: {len(removed)} pictures removed, since an earlier split has a version "
                f"of them: {names}"
            )
        for image in dataset.splits.get(split, []):
            seen.setdefault(image.source_name, split)


def to_coco(
    dataset: SourceDataset, scheme: KeypointScheme, target: Target
) -> tuple[dict[str, dict], list[str]]:
    """One COCO dict a split, ids unique over all splits, and notes on what was changed.

    A labelled point outside its picture becomes not labelled: no heatmap can show it. A point that
    is not labelled becomes 0, 0, 0; exporters leave template coordinates there.
    """
    contents: dict[str, dict] = {}
    notes: list[str] = []
    image_id = annotation_id = 0
    for split, images in dataset.splits.items():
        image_rows, annotation_rows, outside = [], [], []
        for image in images:
            image_id += 1
            image_rows.append(
                {
                    "id": image_id,
                    "file_name": image.path.name,
                    "width": image.width,
                    "height": image.height,
                }
            )
            for instance in image.instances:
                annotation_id += 1
                points, num_outside = _target_points(instance, image, scheme, target)
                outside += [image.path.name] * num_outside
                annotation_rows.append(_annotation(annotation_id, image_id, instance, points))
        if outside:
            notes.append(
                f"{split}: labelled points outside their picture dropped ({named(outside)})"
            )
        contents[split] = {
            "info": _info(split, scheme, target),
            "images": image_rows,
            "annotations": annotation_rows,
            "categories": [_category(target)],
        }
    return contents, notes


def _target_points(
    instance: Instance, image: LabelledImage, scheme: KeypointScheme, target: Target
) -> tuple[np.ndarray, int]:
    """(K, 3) points of the target, and how many labelled ones lay outside the picture."""
    points = np.zeros((len(target.names), 3))
    num_outside = 0
    for source, name in scheme.mapping.items():
        x, y, visibility = instance.keypoints[scheme.keypoints.index(source)]
        if visibility == 0:
            continue
        if 0 <= x <= image.width and 0 <= y <= image.height:
            points[target.names.index(name)] = (x, y, visibility)
        else:
            num_outside += 1
    return points, num_outside


def _annotation(
    annotation_id: int, image_id: int, instance: Instance, points: np.ndarray
) -> dict[str, object]:
    box_px = [round(value, DECIMALS_PX) for value in instance.box_px]
    keypoints: list[float | int] = []
    for x, y, visibility in points.tolist():
        keypoints += [round(x, DECIMALS_PX), round(y, DECIMALS_PX), int(visibility)]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": CATEGORY_ID,
        "bbox": box_px,
        "area": round(BOX_AREA_SHARE * box_px[2] * box_px[3], DECIMALS_PX),
        "iscrowd": 0,
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": keypoints,
    }


def _info(split: str, scheme: KeypointScheme, target: Target) -> dict[str, object]:
    return {
        "description": f"{target.name} keypoints, {split} split, converted by equikpt",
        "area": f"{BOX_AREA_SHARE} of the box: the source has no outlines",
        "mapping": scheme.mapping,
    }


def _category(target: Target) -> dict[str, object]:
    """COCO counts the ends of a link from 1."""
    place = {name: index for index, name in enumerate(target.names, start=1)}
    return {
        "id": CATEGORY_ID,
        "name": target.category,
        "supercategory": "animal",
        "keypoints": list(target.names),
        "skeleton": [[place[link.start], place[link.end]] for link in target.links],
    }
