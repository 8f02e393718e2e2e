"""Ground truth and prediction of one sample, drawn side by side or in one image.

A sample of one instance shows its box and some surroundings; where all points lie close together,
as two marks on a radiograph do, it shows those. A sample of a whole image shows all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from equikpt.structures.pose_instance import output_scores
from equikpt_runtime.drawing import ERROR_BGR, draw_instance, draw_pose, has_names, pixel
from equikpt_runtime.instance import predicted_visibility

if TYPE_CHECKING:  # the report draws without MMPose
    from mmpose.structures import PoseDataSample

CELL_PX = 240
"""Longer side of each of the two images."""
CROP_PADDING = 1.25
"""A cell shows the box enlarged by this factor."""
ZOOM_FRACTION = 0.25
"""Several points that lie within this fraction of the box are enlarged."""
MIN_SHOWN = 0.2
"""A cell shows at least this fraction of the box."""
SQUARE_PADDING = 1.2
"""A square cell shows the box enlarged by this factor."""
GROUND = 56
"""Gray around an image in a square cell."""


class Pose(NamedTuple):
    """One instance: (K, 2) px of the image, (K,) COCO visibility, (K,) scores of a prediction."""

    points: np.ndarray
    visibility: np.ndarray
    scores: np.ndarray | None


def draw_gt_pred_pair(
    image: np.ndarray,
    sample: PoseDataSample,
    metainfo: dict,
    labelled: np.ndarray | None,
    threshold: float,
) -> np.ndarray:
    """Draw ground truth left, prediction right.

    Args:
        image: (H, W, 3) uint8, BGR, of the sample.
        sample: With ``pred_instances``.
        metainfo: MMPose's parsed metainfo.
        labelled: (K,) bool; keypoints that are not are left out of the prediction. None draws all.
        threshold: Points with a score below it are drawn hollow. Of several instances in a whole
            image, those with a mean score below it are left out.

    Returns:
        (H, 2 · W, 3) uint8, BGR, H and W at most ``CELL_PX``.
    """
    gt = [Pose(pose[:, :2], pose[:, 2], None) for pose in true_poses(sample, metainfo)]
    predicted = _predicted_poses(sample, metainfo, labelled, threshold)
    area = _area(sample, image.shape[:2], [*gt, *predicted], has_names(metainfo))
    cell, origin, scale = _cut(image, area)
    halves = []
    for poses in (gt, predicted):
        half = cell
        for points, visibility, scores in poses:
            moved = (points - origin + 0.5) * scale - 0.5  # px are counted from their middle
            half = draw_instance(half, moved, metainfo, visibility, scores, threshold)
        halves.append(half)
    return np.hstack(halves)


def true_poses(sample: PoseDataSample, metainfo: dict) -> list[np.ndarray]:
    """(K, 3) x and y in px of the image and COCO's visibility, of each annotated instance.

    There is none where boxes come from a detector, or with the keypoints of another set.
    """
    annotations = sample.get("raw_ann_info") or []
    if isinstance(annotations, dict):
        annotations = [annotations]
    poses = [np.asarray(each["keypoints"], float).reshape(-1, 3) for each in annotations]
    if not has_names(metainfo):
        return poses
    return [pose for pose in poses if len(pose) == metainfo["num_keypoints"]]


def _predicted_poses(
    sample: PoseDataSample, metainfo: dict, labelled: np.ndarray | None, threshold: float
) -> list[Pose]:
    found = sample.pred_instances
    points = np.asarray(found.keypoints, float)
    scores = output_scores(found)
    visibility = predicted_visibility(
        scores.shape, found.get("keypoints_presence"), found.get("keypoints_seen")
    )
    if "labels" in found and points.shape[1] == 1:  # single points, each of one type
        row, column = np.arange(len(points)), np.asarray(found.labels, int)
        alone = points[:, 0], scores[:, 0]
        points = np.zeros((len(points), metainfo["num_keypoints"], 2))
        scores, visibility = np.zeros(points.shape[:2]), np.zeros(points.shape[:2], int)
        points[row, column], scores[row, column] = alone
        visibility[row, column] = 2
    if _is_whole(sample):
        drawn = visibility > 0
        mean = (scores * drawn).sum(axis=1) / np.maximum(drawn.sum(axis=1), 1)
        points, scores, visibility = (
            part[mean >= threshold] for part in (points, scores, visibility)
        )
    if labelled is not None:
        visibility = np.where(labelled, visibility, 0)
    return [Pose(*each) for each in zip(points, visibility, scores, strict=True)]


def _is_whole(sample: PoseDataSample) -> bool:
    """Tell an image with any number of instances from a sample of one instance."""
    return isinstance(sample.get("raw_ann_info"), list) or "bboxes" not in sample.gt_instances


def _area(
    sample: PoseDataSample, size: tuple[int, int], poses: Sequence[Pose], named: bool
) -> np.ndarray:
    """(2, 2): the upper left and the lower right corner of what is shown of an image (H, W)."""
    if _is_whole(sample):
        return np.array([[0.0, 0.0], [size[1], size[0]]])
    corners = np.asarray(sample.gt_instances.bboxes[0], float).reshape(2, 2)
    middle, side = corners.mean(axis=0), float(np.ptp(corners, axis=0).max())
    half = side * CROP_PADDING / 2
    drawn = np.concatenate([pose.points[pose.visibility > 0] for pose in poses] or [corners])
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    several = any((pose.visibility > 0).sum() > 1 for pose in poses)  # one point has no extent
    if named and several and len(drawn):
        extent = float(np.ptp(drawn, axis=0).max())
        if extent < ZOOM_FRACTION * side:
            middle = (drawn.min(axis=0) + drawn.max(axis=0)) / 2
            half = max(0.75 * extent, MIN_SHOWN * side / 2)
    return np.stack([middle - half, middle + half])


def _cut(image: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Cut the part of ``area`` in the image, scaled to a cell; also its origin and the scale."""
    limit = np.array([image.shape[1], image.shape[0]])
    origin = np.clip(np.round(area[0]), 0, np.maximum(limit - 2, 0)).astype(int)
    end = np.clip(np.round(area[1]), np.minimum(origin + 2, limit), limit).astype(int)
    part = image[origin[1] : end[1], origin[0] : end[0]]
    scale = CELL_PX / max(part.shape[:2])
    height, width = (max(1, round(side * scale)) for side in part.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(part, (width, height), interpolation=how), origin, scale


def draw_pose_errors(
    image: np.ndarray,
    box: Sequence[float],
    gt: np.ndarray,
    predicted: Pose,
    metainfo: dict,
) -> np.ndarray:
    """Draw one instance, with lines from its labelled points to the predicted ones.

    Args:
        image: (H, W, 3) uint8, BGR.
        box: x, y, width, height in px of the image; a square around it is shown.
        gt: (K, 3) x, y in px of the image and COCO visibility.
        predicted: Points with visibility 0 are left out.
        metainfo: MMPose's parsed metainfo.

    Returns:
        (``CELL_PX``, 2 · ``CELL_PX``, 3) uint8, BGR: ground truth left, prediction right.
    """
    left, top, width, height = box
    centre = np.array([left + width / 2, top + height / 2])
    cell, scale, shift = _square(image, centre, SQUARE_PADDING * max(width, height))
    true_px, found_px = gt[:, :2] * scale + shift, predicted.points * scale + shift
    with_gt = draw_pose(cell, true_px, metainfo, gt[:, 2])
    for index in np.flatnonzero((gt[:, 2] > 0) & (predicted.visibility > 0)):
        cv2.line(cell, pixel(true_px[index]), pixel(found_px[index]), ERROR_BGR, 1, cv2.LINE_AA)
    with_found = draw_pose(cell, found_px, metainfo, predicted.visibility, predicted.scores)
    return np.hstack([with_gt, with_found])


def draw_whole_pair(
    image: np.ndarray, gt: Sequence[np.ndarray], predicted: Sequence[Pose], metainfo: dict
) -> np.ndarray:
    """Draw a whole image with all labelled instances, (K, 3) each, and with all found.

    Returns:
        (``CELL_PX``, 2 · ``CELL_PX``, 3) uint8, BGR: ground truth left, predictions right.
    """
    size = np.array([image.shape[1], image.shape[0]])
    cell, scale, shift = _square(image, size / 2, size.max())
    halves = []
    for poses in ([Pose(pose[:, :2], pose[:, 2], None) for pose in gt], predicted):
        half = cell
        for points, visibility, scores in poses:
            half = draw_instance(half, points * scale + shift, metainfo, visibility, scores)
        halves.append(half)
    return np.hstack(halves)


def _square(
    image: np.ndarray, centre: np.ndarray, side: float
) -> tuple[np.ndarray, float, np.ndarray]:
    """The square around ``centre`` in ``CELL_PX`` px, gray outside of the image.

    Returns:
        The square, and the scale and shift (2,) that take px of the image into it.
    """
    scale = CELL_PX / side
    if scale < 1:  # area by area: a warp would leave out pixels
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    shift = CELL_PX / 2 - scale * centre
    factor = max(scale, 1.0)
    matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
    cell = cv2.warpAffine(image, matrix, (CELL_PX, CELL_PX), borderValue=(GROUND,) * 3)
    return cell, scale, shift
