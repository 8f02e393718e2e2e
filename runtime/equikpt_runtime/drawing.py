"""Poses drawn into images.

Images are (H, W, 3) uint8, BGR; what is drawn into is a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equikpt_runtime.files import write_bytes
from equikpt_runtime.images import ImageError
from equikpt_runtime.instance import Instance

HIDDEN = 1
"""COCO visibility of a point that is labelled but not seen."""
ERROR_BGR = (60, 230, 240)
TEXT_BGR = (245, 245, 245)
LABELS_BGR = (
    *((235, 235, 235), (86, 180, 233), (233, 180, 86), (160, 220, 90)),
    *((200, 130, 230), (80, 230, 230), (150, 150, 255)),
)
"""Colours of boxes and their tabs: the first for animals without a number, then in turns."""
CAPTION_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.42)

Colour = tuple[int, int, int]


def check_image_name(name: str) -> None:
    """Raise ``ValueError`` for a file name of which OpenCV cannot tell the format."""
    if not cv2.haveImageWriter(name):
        raise ValueError(
            f"expected an image file that OpenCV writes, such as sheet.jpg, got {name!r}"
        )


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image in the format of the path's suffix, or raise ``ImageError`` for its size."""
    try:
        is_encoded, content = cv2.imencode(path.suffix, image)
    except cv2.error:
        is_encoded = False
    if not is_encoded:
        height, width = image.shape[:2]
        raise ImageError(f"{width} x {height} px cannot be written to {path}; JPEG holds 65,500")
    write_bytes(path, content.tobytes())


def draw_pose(
    image: np.ndarray,
    keypoints: np.ndarray,
    metainfo: dict,
    visibility: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    threshold: float = 0.3,
) -> np.ndarray:
    """Draw one skeleton: links by side, seen points filled, hidden or uncertain points hollow.

    Args:
        image: Image.
        keypoints: (K, 2) x and y in px of ``image``.
        metainfo: MMPose's parsed metainfo, for links and colours (RGB).
        visibility: (K,) COCO visibility; points with 0 are left out.
        scores: (K,) scores in 0–1; points below ``threshold`` are drawn hollow, their links not.
        threshold: Score from which a point counts as certain.

    Raises:
        ValueError: ``keypoints`` does not hold one row for each keypoint of ``metainfo``.
    """
    num_keypoints = metainfo["num_keypoints"]
    points = np.asarray(keypoints, dtype=float)
    if points.shape != (num_keypoints, 2):
        raise ValueError(
            f"expected keypoints of shape ({num_keypoints}, 2) for {metainfo['dataset_name']}, got "
            f"{points.shape}; pass one instance at a time, x and y only"
        )
    visible = np.full(num_keypoints, 2) if visibility is None else np.asarray(visibility)
    certain = np.ones(num_keypoints, bool) if scores is None else np.asarray(scores) >= threshold
    canvas, radius_px = image.copy(), dot_radius_px(image)
    drawable = (visible > 0) & np.isfinite(points).all(axis=1)
    centres = [pixel(point) for point in np.where(drawable[:, None], points, 0)]
    links, colours = metainfo["skeleton_links"], metainfo["skeleton_link_colors"]
    for ends, rgb in zip(links, colours, strict=True):
        if all(drawable[end] and certain[end] for end in ends):
            start, end = (centres[end] for end in ends)
            cv2.line(canvas, start, end, _bgr(rgb), max(1, radius_px // 2), cv2.LINE_AA)
    for index in np.flatnonzero(drawable):
        hollow = visible[index] == HIDDEN or not certain[index]
        _dot(canvas, centres[index], radius_px, _bgr(metainfo["keypoint_colors"][index]), hollow)
    return canvas


def dot_radius_px(image: np.ndarray) -> int:
    """Radius of a keypoint's dot in an image (H, W, …), in its px."""
    return max(2, round(math.hypot(*image.shape[:2]) / 250))


def pixel(point: np.ndarray) -> tuple[int, ...]:
    """The px in which a point (2,) lies."""
    return tuple(int(value) for value in np.round(point))


def has_names(metainfo: dict) -> bool:
    """Tell if a data set's points are named keypoints, and not any number of unnamed things."""
    return not metainfo.get("unnamed", False)


def draw_instance(
    image: np.ndarray,
    keypoints: np.ndarray,
    metainfo: dict,
    visibility: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    threshold: float = 0.3,
) -> np.ndarray:
    """:func:`draw_pose`, or for unnamed points :func:`draw_sequence`; arguments as the former."""
    if has_names(metainfo):
        return draw_pose(image, keypoints, metainfo, visibility, scores, threshold)
    points = np.asarray(keypoints, float)
    if visibility is not None:
        points, scores = points[visibility > 0], None if scores is None else scores[visibility > 0]
    return draw_sequence(image, points, scores)


def draw_sequence(
    image: np.ndarray, points: np.ndarray, scores: np.ndarray | None = None
) -> np.ndarray:
    """Mark points (N, 2), px, with their numbers, in the order in which they were pointed at.

    Those with scores (N,) below 0.5 are hollow.
    """
    canvas = image.copy()
    radius_px = max(2, round(math.hypot(*image.shape[:2]) / 150))
    for number, point in enumerate(np.asarray(points, float).reshape(-1, 2), start=1):
        x, y = pixel(point)
        hollow = scores is not None and scores[number - 1] < 0.5
        _dot(canvas, (x, y), radius_px, ERROR_BGR, hollow)
        outlined_text(canvas, str(number), (x + radius_px + 1, y - radius_px), ERROR_BGR)
    return canvas


def outlined_text(
    canvas: np.ndarray, text: str, origin: tuple[int, int], colour: Colour, size: float = 1.0
) -> None:
    """Write into ``canvas``, with a dark rim, in ``size`` times the height of captions."""
    font, scale = CAPTION_FONT
    stroke = max(1, round(size))
    for ink, thickness in (((0, 0, 0), stroke + 2), (colour, stroke)):
        cv2.putText(canvas, text, origin, font, scale * size, ink, thickness, cv2.LINE_AA)


def _dot(
    canvas: np.ndarray, centre: Sequence[int], radius_px: int, colour: Colour, hollow: bool
) -> None:
    cv2.circle(canvas, centre, radius_px + 1, (0, 0, 0), 2 if hollow else -1, cv2.LINE_AA)
    cv2.circle(canvas, centre, radius_px, colour, 1 if hollow else -1, cv2.LINE_AA)


def _bgr(rgb: Sequence[int]) -> Colour:
    red, green, blue = (int(channel) for channel in rgb)
    return blue, green, red


def draw_prediction(
    image: np.ndarray,
    instance: Instance,
    metainfo: dict,
    threshold: float = 0.3,
    min_score: float = 0.1,
    radius: bool = False,
) -> np.ndarray:
    """Draw the keypoints of an instance that :func:`shown_points` marks, and their radii.

    Args:
        image: Image.
        instance: Of this image.
        metainfo: MMPose's parsed metainfo.
        threshold: Score below which a point is hollow and has no links.
        min_score: Score below which a point is left out.
        radius: Draw the rings, where there are any.
    """
    shown = shown_points(instance, min_score)
    visibility = np.where(shown, instance.visibility, 0) if has_names(metainfo) else None
    drawn = draw_instance(
        image, instance.keypoints, metainfo, visibility, instance.scores, threshold
    )
    if radius and instance.radius is not None:
        drawn = draw_radii(drawn, instance.keypoints[shown], instance.radius[shown])
    return drawn


def shown_points(instance: Instance, min_score: float) -> np.ndarray:
    """Mark the keypoints (K,) that are in the image, with at least this score."""
    return (instance.scores >= min_score) & (instance.visibility > 0)


def draw_tab(image: np.ndarray, instance: Instance) -> np.ndarray:
    """Draw the box with its track, the detector's score and a refusal, where there are any."""
    if instance.track is None and instance.box_score >= 1 and not instance.refused:
        return image
    parts = [] if instance.track is None else [f"#{instance.track}"]
    parts += [f"{instance.box_score:.2f}"] if instance.box_score < 1 else []
    parts += [instance.refused] if instance.refused else []
    return draw_label(image, instance.box, " ".join(parts), instance.track or 0)


def draw_radii(image: np.ndarray, points: np.ndarray, radii_px: np.ndarray) -> np.ndarray:
    """Draw thin rings of radii (N,) around points (N, 2), px; none that is not finite."""
    canvas = image.copy()
    for point, radius_px in zip(points, radii_px, strict=True):
        if np.isfinite(point).all() and np.isfinite(radius_px):
            cv2.circle(canvas, pixel(point), round(float(radius_px)), TEXT_BGR, 1, cv2.LINE_AA)
    return canvas


def text_size(image: np.ndarray) -> float:
    """Size of text in an image, 1 up to a diagonal of 1000 px."""
    return max(1.0, math.hypot(*image.shape[:2]) / 1000)


def draw_label(image: np.ndarray, box: np.ndarray, text: str, number: int = 0) -> np.ndarray:
    """Draw a box (4,), px, with a tab inside its upper left corner, in the colour of a number.

    Where the box ends too far to the right for its text, the tab begins further left.
    """
    canvas, size, colour = image.copy(), text_size(image), LABELS_BGR[number % len(LABELS_BGR)]
    size *= min(1.0, image.shape[1] / (text_px(text, size)[0] + 6))  # a long one in a small image
    stroke = max(1, round(size))
    left, top, right, bottom = (round(float(value)) for value in box)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, stroke, cv2.LINE_AA)
    width_px, height_px = text_px(text, size)
    left, top = max(min(left, image.shape[1] - width_px - 6), 0), max(top, 0)
    cv2.rectangle(canvas, (left, top), (left + width_px + 6, top + height_px + 4), colour, -1)
    font, scale = CAPTION_FONT
    origin = (left + 3, top + height_px - 1)
    cv2.putText(canvas, text, origin, font, scale * size, (0, 0, 0), stroke, cv2.LINE_AA)
    return canvas


def text_px(text: str, size: float) -> tuple[int, int]:
    """Width and height of a line of text."""
    font, scale = CAPTION_FONT
    (width, height), below = cv2.getTextSize(text, font, scale * size, max(1, round(size)))
    return width, height + below
