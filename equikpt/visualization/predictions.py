"""Predictions drawn into their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.structures.bbox import box_iou, hungarian_match
from equikpt.structures.ground_truth import Gt
from equikpt.structures.pose_instance import Instance
from equikpt.visualization.overlays import (
    draw_bands,
    draw_errors,
    draw_heat,
    draw_label,
    draw_names,
)
from equikpt.visualization.pose import draw_instance, has_names

GTS = ("beside", "over")
OVERLAYS = ("heatmap", "simcc")


@dataclass(frozen=True)
class Look:
    """Choices of how predictions are drawn.

    Args:
        names: Whether keypoints have their names beside them.
        threshold: Score below which a point is hollow and has no links.
        min_score: Score below which a point is left out.
        gt: One of ``GTS``: in a second image to the left, or only within the prediction,
            which in both cases has a line from each labelled point to the predicted one.
        overlay: One of ``OVERLAYS``: where the model sees each point; ``"simcc"`` with its
            distributions along x and y at the upper and the left edge.

    Raises:
        ValueError: An option out of its range.
    """

    names: bool = False
    threshold: float = 0.3
    min_score: float = 0.1
    gt: str | None = None
    overlay: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= self.threshold <= 1:
            raise ValueError(
                "expected scores of 0 to 1, that of hollow points not below that of points that "
                f"are left out, got {self.threshold:g} and {self.min_score:g}"
            )
        for value, known in ((self.gt, GTS), (self.overlay, OVERLAYS)):
            if value is not None and value not in known:
                raise ValueError(f"expected one of {', '.join(known)}, got {value!r}")


def draw(
    image: np.ndarray,
    instances: Sequence[Instance],
    metainfo: dict,
    look: Look,
    gt: Gt | None = None,
) -> np.ndarray:
    """All instances of an image.

    Args:
        image: (H, W, 3) uint8, BGR.
        instances: Found in it.
        metainfo: MMPose's parsed metainfo.
        look: How to draw.
        gt: Labels, for ``look.gt``.

    Returns:
        (H, W, 3) uint8, BGR, or (H, 2 · W, 3) with the ground truth beside.

    Raises:
        ValueError: An overlay of maps that the instances do not have.
    """
    drawn = image if look.overlay is None else _with_maps(image, instances, metainfo, look)
    for instance in instances:
        drawn = _with_instance(drawn, instance, metainfo, look)
    if look.gt is None or gt is None:
        return drawn.copy() if drawn is image else drawn
    drawn = _with_errors(drawn, instances, gt)
    if look.gt == "over":
        return drawn
    left = image
    for keypoints, visibility in zip(gt.keypoints, gt.visibility, strict=True):
        left = draw_instance(left, keypoints, metainfo, visibility)
    return np.hstack([left, drawn])


def _with_errors(image: np.ndarray, instances: Sequence[Instance], gt: Gt) -> np.ndarray:
    """True points, with a line to those of the instance whose box overlaps most.

    A labelled animal that was not found has its points alone, and so have all where the model's
    points are not grouped.
    """
    similarity = np.zeros((len(instances), len(gt.boxes)))
    for row, instance in enumerate(instances):
        if np.isfinite(instance.keypoints).all(axis=1).sum() > 1:
            similarity[row] = [box_iou(instance.box, box) for box in gt.boxes]
    found_of = {true: found for found, true in hungarian_match(similarity, np.spacing(1))}
    drawn = image
    for true, (points, visibility) in enumerate(zip(gt.keypoints, gt.visibility, strict=True)):
        found = found_of.get(true)
        predicted = np.full_like(points, np.nan) if found is None else instances[found].keypoints
        drawn = draw_errors(drawn, predicted, points, visibility > 0)
    return drawn


def _with_instance(image: np.ndarray, instance: Instance, metainfo: dict, look: Look) -> np.ndarray:
    shown = instance.scores >= look.min_score
    drawn = draw_instance(
        image,
        instance.keypoints,
        metainfo,
        np.where(shown, 2, 0) if has_names(metainfo) else None,
        instance.scores,
        look.threshold,
    )
    if look.names and has_names(metainfo):
        names = [metainfo["keypoint_id2name"][index] for index in range(len(shown))]
        drawn = draw_names(drawn, np.where(shown[:, None], instance.keypoints, np.nan), names)
    if instance.track is not None or instance.box_score < 1:
        parts = [] if instance.track is None else [f"#{instance.track}"]
        parts += [f"{instance.box_score:.2f}"] if instance.box_score < 1 else []
        drawn = draw_label(drawn, instance.box, " ".join(parts), instance.track or 0)
    return drawn


def _with_maps(
    image: np.ndarray, instances: Sequence[Instance], metainfo: dict, look: Look
) -> np.ndarray:
    drawn = image
    for maps in {id(each.maps): each.maps for each in instances}.values():
        if maps is None:
            raise ValueError("expected a Predictor with maps=True for an overlay, got one without")
        drawn = draw_heat(drawn, maps.heat, maps.to_image)
        if look.overlay == "simcc":
            if maps.along_x is None or maps.along_y is None:
                raise ValueError(
                    "expected a model with SimCC for this overlay, got one with heatmaps; take "
                    "--overlay heatmap"
                )
            colours = metainfo["keypoint_colors"]
            drawn = draw_bands(drawn, maps.along_x, maps.along_y, maps.to_image, colours)
    return drawn
