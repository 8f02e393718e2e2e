"""Predictions drawn into their image: names, errors, labels of animals, heatmaps and SimCC.

Images are (H, W, 3) uint8, BGR; what is drawn into is a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from equikpt.structures.ground_truth import Gt
from equikpt.visualization.pose import TARGET_BGR
from equikpt_runtime.boxes import box_iou, hungarian_match
from equikpt_runtime.drawing import (
    ERROR_BGR,
    TEXT_BGR,
    dot_radius_px,
    draw_instance,
    draw_prediction,
    draw_tab,
    has_names,
    outlined_text,
    pixel,
    shown_points,
    text_px,
    text_size,
)
from equikpt_runtime.instance import Instance

GTS = ("beside", "over")
OVERLAYS = ("heatmap", "simcc")
HEAT_OPACITY = 0.65
BAND_FRACTION = 0.2
"""Greatest width of a SimCC band, as a fraction of the image's shorter side."""


@dataclass(frozen=True)
class Look:
    """Choices of how predictions are drawn.

    Args:
        names: Write the names of keypoints beside them.
        threshold: Score below which a point is hollow and has no links.
        min_score: Score below which a point is left out.
        gt: One of ``GTS``: in a second image to the left, or only within the prediction,
            which in both cases has a line from each labelled point to the predicted one.
        radius: Draw a ring around each point that holds it with the predictor's probability.
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
    radius: bool = False

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
    """Draw all instances of an image, and its labels for ``look.gt``.

    Returns:
        (H, W, 3) uint8, BGR, or (H, 2 · W, 3) with the ground truth beside.

    Raises:
        ValueError: An overlay of maps that the instances do not have.
    """
    drawn = image.copy()
    if look.overlay is not None:
        drawn = _with_maps(drawn, instances, metainfo, look)
    for instance in instances:
        drawn = _with_instance(drawn, instance, metainfo, look)
    if look.gt is None or gt is None:
        return drawn
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
    drawn = draw_prediction(image, instance, metainfo, look.threshold, look.min_score, look.radius)
    if look.names and has_names(metainfo):
        shown = shown_points(instance, look.min_score)
        names = [metainfo["keypoint_id2name"][index] for index in range(len(shown))]
        drawn = draw_names(drawn, np.where(shown[:, None], instance.keypoints, np.nan), names)
    return draw_tab(drawn, instance)


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
                    "the overlay heatmap"
                )
            colours = metainfo["keypoint_colors"]
            drawn = draw_bands(drawn, maps.along_x, maps.along_y, maps.to_image, colours)
    return drawn


def draw_names(image: np.ndarray, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Write K names beside points (K, 2), px, on the outer side, none over another; not at NaN."""
    canvas, size = image.copy(), 0.8 * text_size(image)
    shown = np.isfinite(points).all(axis=1)
    if not shown.any():
        return canvas
    middle_x, gap_px = points[shown, 0].mean(), dot_radius_px(image) + 3
    taken: list[np.ndarray] = []
    for (x, y), name in zip(points[shown], np.asarray(names)[shown], strict=True):
        width_px, height_px = text_px(name, size)
        left = x + gap_px if x >= middle_x else x - gap_px - width_px
        left = min(max(left, 0), image.shape[1] - width_px)
        boxes = [
            np.array([left, top, left + width_px, top + height_px])
            for top in y - height_px / 2 + height_px * np.array([0, 1, -1, 2, -2, 3, -3])
        ]
        free = (box for box in boxes if not any(box_iou(box, other) for other in taken))
        taken.append(next(free, boxes[0]))
        outlined_text(canvas, name, (round(left), round(taken[-1][3] - 4)), TEXT_BGR, size)
    return canvas


def draw_errors(
    image: np.ndarray, predicted: np.ndarray, gt: np.ndarray, labelled: np.ndarray
) -> np.ndarray:
    """Draw rings at the true points (K, 2), and lines with their length to the predicted ones.

    Both are px; an error that is smaller than the dots has no number. ``labelled`` is (K,) bool.
    """
    canvas, size, radius_px = image.copy(), text_size(image), dot_radius_px(image)
    stroke, shown = max(1, round(size)), labelled & np.isfinite(predicted).all(axis=1)
    for start, end in zip(gt[shown], predicted[shown], strict=True):
        cv2.line(canvas, pixel(start), pixel(end), ERROR_BGR, stroke, cv2.LINE_AA)
    for point in gt[labelled]:
        cv2.circle(canvas, pixel(point), radius_px + 2, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.circle(canvas, pixel(point), radius_px + 2, TARGET_BGR, stroke, cv2.LINE_AA)
    for start, end in zip(gt[shown], predicted[shown], strict=True):
        error_px = float(np.hypot(*(end - start)))
        if error_px > 2 * radius_px:
            x, y = (start + end) / 2
            origin = (round(x) + radius_px, round(y) - radius_px)
            outlined_text(canvas, f"{error_px:.0f}", origin, ERROR_BGR, 0.8 * size)
    return canvas


def draw_heat(image: np.ndarray, heat: np.ndarray, to_image: np.ndarray) -> np.ndarray:
    """Draw heatmaps (K, h, w) of one instance, the strongest fully coloured.

    ``to_image`` (2, 3) maps cells to px of the image.
    """
    strongest = heat.max(axis=0).astype(np.float32)
    strongest /= max(float(strongest.max()), 1e-6)
    warped = cv2.warpAffine(strongest, to_image, image.shape[1::-1], flags=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(np.round(255 * warped).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = HEAT_OPACITY * warped[..., None]
    return np.round(image * (1 - opacity) + colours * opacity).astype(np.uint8)


def draw_bands(
    image: np.ndarray,
    along_x: np.ndarray,
    along_y: np.ndarray,
    to_image: np.ndarray,
    colours: np.ndarray,
) -> np.ndarray:
    """Draw SimCC's marginals (K, w) and (K, h) along the upper and the left edge, a stripe each.

    ``to_image`` (2, 3) maps cells to px of the image; ``colours`` (K, 3) are RGB.
    """
    canvas, (height, width) = image.copy(), image.shape[:2]
    count = len(colours)
    stripe_px = max(1, int(BAND_FRACTION * min(height, width)) // count)
    for marginals, axis, length in ((along_x, 0, width), (along_y, 1, height)):
        matrix = np.array([[to_image[axis, axis], 0, to_image[axis, 2]], [0, 1, 0]])
        rows = marginals / np.maximum(marginals.max(axis=1, keepdims=True), 1e-6)
        size = (length, count)
        stretched = cv2.warpAffine(rows.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR)
        band = (stretched[..., None] * colours[:, None, ::-1]).repeat(stripe_px, axis=0)
        part = canvas if axis == 0 else canvas.transpose(1, 0, 2)
        part = part[: len(band)]
        part[:] = np.round(0.3 * part + 0.7 * band).astype(np.uint8)
    return canvas
