"""From labelled images with source keypoints to COCO JSON with the target's."""

from __future__ import annotations

from equikpt.core.coco.checks import BOX_AREA_FRACTION
from equikpt.data_tools.convert.boxes import MARGIN
from equikpt.data_tools.convert.mapping import map_keypoints
from equikpt.data_tools.convert.records import Instance, SourceDataset
from equikpt.data_tools.convert.schemes import KeypointScheme
from equikpt.data_tools.convert.targets import Target

NO_CATEGORY = "object"
"""Name of the category of instances whose source has none."""

DECIMALS_PX = 3


def to_coco(
    dataset: SourceDataset, scheme: KeypointScheme, target: Target
) -> tuple[dict[str, dict], list[str]]:
    """One COCO dict a split, ids unique over all splits, and notes on what was changed.

    What changes with the keypoints: :func:`equikpt.data_tools.convert.mapping.map_keypoints`.
    """
    mapped, notes = map_keypoints(dataset, scheme, target)
    categories = _categories(mapped, target)
    id_of = {row["name"]: row["id"] for row in categories}
    contents: dict[str, dict] = {}
    image_id = annotation_id = 0
    for split, images in mapped.splits.items():
        image_rows, annotation_rows = [], []
        for image in images:
            image_id += 1
            image_rows.append(
                {
                    "id": image_id,
                    "file_name": image.file_name,
                    "width": image.width,
                    "height": image.height,
                }
            )
            for instance in image.instances:
                annotation_id += 1
                name = target.category or instance.category or NO_CATEGORY
                annotation_rows.append(
                    {
                        "id": annotation_id,
                        "image_id": image_id,
                        "category_id": id_of[name],
                        **_annotation(instance, target),
                    }
                )
        contents[split] = {
            "info": _info(split, scheme, target),
            "images": image_rows,
            "annotations": annotation_rows,
            "categories": categories,
        }
    return contents, notes


def _annotation(instance: Instance, target: Target) -> dict[str, object]:
    box_px = [round(value, DECIMALS_PX) for value in instance.box_px or ()]
    keypoints: list[float | int] = []
    for x, y, visibility in instance.keypoints.tolist():
        keypoints += [round(x, DECIMALS_PX), round(y, DECIMALS_PX), int(visibility)]
    share = 1.0 if target.whole_image else BOX_AREA_FRACTION
    stated = None if target.whole_image else instance.area_px2
    annotation: dict[str, object] = {
        "bbox": box_px,
        "area": round(stated or share * box_px[2] * box_px[3], DECIMALS_PX),
        "iscrowd": int(instance.crowd),
        "num_keypoints": int((instance.keypoints[:, 2] > 0).sum()),
        "keypoints": keypoints,
    }
    if instance.outline is not None:
        annotation["segmentation"] = instance.outline
    if instance.score is not None:
        annotation["score"] = instance.score
    if instance.scores is not None:
        annotation["keypoint_scores"] = instance.scores.tolist()
    return annotation


def _info(split: str, scheme: KeypointScheme, target: Target) -> dict[str, object]:
    area = f"the source's, or {BOX_AREA_FRACTION} of the box where it states none"
    box = f"the source's, or around the labelled points with a margin of {MARGIN}"
    return {
        "description": f"{target.name} keypoints, {split} split, converted by equikpt",
        "area": "the image" if target.whole_image else area,
        "bbox": "the image" if target.whole_image else box,
        "mapping": scheme.mapping,
    }


def _categories(dataset: SourceDataset, target: Target) -> list[dict[str, object]]:
    """The target's category, or those of the source. COCO counts the ends of a link from 1."""
    place = {name: index for index, name in enumerate(target.names, start=1)}
    names = (target.category,) if target.category else dataset.categories() or ("",)
    return [
        {
            "id": index,
            "name": name or NO_CATEGORY,
            "supercategory": target.supercategory,
            "keypoints": list(target.names),
            "skeleton": [[place[link.start], place[link.end]] for link in target.links],
        }
        for index, name in enumerate(names, start=1)
    ]
