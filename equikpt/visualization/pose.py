"""Poses drawn into images, and many images laid out on one sheet.

Images are (H, W, 3) uint8, BGR; what is drawn into is a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from equikpt.core.files import write_bytes
from equikpt.core.image_decoding import ImageError

HIDDEN = 1
"""COCO visibility of a point that is labelled but not seen."""
TARGET_BGR = (80, 220, 80)
PREDICTION_BGR = (60, 60, 240)
ERROR_BGR = (60, 230, 240)
BOX_BGR = (230, 230, 230)
RING_BGR = (60, 60, 255)
RING_RADIUS_PX = 8
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


def draw_marked_pose(
    image: np.ndarray,
    points: np.ndarray,
    metainfo: dict,
    visibility: np.ndarray,
    marked: Sequence[int],
    box: np.ndarray | None,
) -> np.ndarray:
    """:func:`draw_pose` with a ring around the points ``marked``, and a box.

    Args:
        image: Image.
        points: (K, 2) px of the image.
        metainfo: MMPose's parsed metainfo.
        visibility: (K,).
        marked: Indices of points.
        box: (2, 2) upper left and lower right corner, px; None draws none.
    """
    canvas = image.copy()
    if box is not None:
        cv2.rectangle(canvas, pixel(box[0]), pixel(box[1]), BOX_BGR, 1, cv2.LINE_AA)
    canvas = draw_pose(canvas, points, metainfo, visibility)
    for index in marked:
        cv2.circle(canvas, pixel(points[index]), RING_RADIUS_PX, RING_BGR, 2, cv2.LINE_AA)
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


def draw_step(
    image: np.ndarray, given: np.ndarray, found: np.ndarray, target: np.ndarray | None, done: float
) -> np.ndarray:
    """One step of a sequence: left what it was given, right its target and what it said.

    The target is green, the prediction red, a yellow line with ``err=23px`` joins them. Where
    nothing is left there is no target, and the prediction is where the step would have pointed.

    Args:
        image: The model's input.
        given: (N, 2) points in px of ``image``.
        found: (2,) predicted, in px of ``image``.
        target: (2,) in px of ``image``; None where nothing is left.
        done: Predicted probability that nothing is left, 0 to 1.

    Returns:
        (H, 2 · W, 3) uint8, BGR.
    """
    right = image.copy()
    radius_px = max(3, round(math.hypot(*image.shape[:2]) / 80))
    end = pixel(found)
    if target is not None:
        start = pixel(target)
        cv2.line(right, start, end, ERROR_BGR, 1, cv2.LINE_AA)
        cv2.circle(right, start, radius_px, TARGET_BGR, 2, cv2.LINE_AA)
        beside = (min(start[0], image.shape[1] - 80) + radius_px, max(14, start[1] - radius_px))
        outlined_text(right, f"err={math.dist(found, target):.0f}px", beside, ERROR_BGR)
    cv2.circle(right, end, radius_px, PREDICTION_BGR, 2, cv2.LINE_AA)
    outlined_text(right, f"pred_done={done:.2f}", (6, 16), PREDICTION_BGR)
    outlined_text(right, f"gt_done={int(target is None)}", (6, 32), TARGET_BGR)
    return np.concatenate([draw_sequence(image, given), right], axis=1)


def outlined_text(
    canvas: np.ndarray, text: str, origin: tuple[int, int], colour: Colour, size: float = 1.0
) -> None:
    """Write into ``canvas``, with a dark rim, in ``size`` times the height of captions."""
    font, scale = CAPTION_FONT
    stroke = max(1, round(size))
    for ink, thickness in (((0, 0, 0), stroke + 2), (colour, stroke)):
        cv2.putText(canvas, text, origin, font, scale * size, ink, thickness, cv2.LINE_AA)


def zoom_in(
    image: np.ndarray, points: np.ndarray, side_px: int, min_half_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square around points (N, 2), px, N at least 1, and scale it to ``side_px``.

    Half the side of the part that is shown is at least ``min_half_px`` of the image.

    Returns:
        (side_px, side_px, 3) uint8, and ``points`` (N, 2) in its px.
    """
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = max(0.75 * float(np.ptp(points, axis=0).max()), min_half_px)
    scale = side_px / (2 * half)
    shift = side_px / 2 - scale * middle
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    cell = cv2.warpAffine(image, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR)
    return cell, points * scale + shift


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int = 4,
    captions: Sequence[str] | None = None,
    cell_px: tuple[int, int] = (320, 320),
) -> np.ndarray:
    """Lay images of any size out in rows, each scaled into a cell (width, height), captions below.

    Returns:
        (rows · (height + caption), columns · width, 3) uint8, BGR.

    Raises:
        ValueError: No image, or another number of captions than of images.
    """
    if not images:
        raise ValueError("expected at least one image for a contact sheet, got none")
    texts = [""] * len(images) if captions is None else list(captions)
    if len(texts) != len(images):
        raise ValueError(f"expected {len(images)} captions, one an image, got {len(texts)}")
    caption_px = 0 if captions is None else 18
    columns = min(columns, len(images))
    width_px, height_px = cell_px
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height_px + caption_px), columns * width_px, 3), 32, np.uint8)
    for index, (image, text) in enumerate(zip(images, texts, strict=True)):
        top = index // columns * (height_px + caption_px)
        left = index % columns * width_px
        scale = min(height_px / image.shape[0], width_px / image.shape[1])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
        small = small[:height_px, :width_px]
        y = top + (height_px - small.shape[0]) // 2
        x = left + (width_px - small.shape[1]) // 2
        sheet[y : y + small.shape[0], x : x + small.shape[1]] = small
        origin, shown = (left + 4, top + height_px + caption_px - 5), _shortened(text, width_px - 8)
        cv2.putText(sheet, shown, origin, *CAPTION_FONT, (235,) * 3, 1, cv2.LINE_AA)
    return sheet


def _shortened(text: str, width_px: int) -> str:
    """As much of a caption as fits into its cell."""
    shown = text
    while shown not in ("", "...") and cv2.getTextSize(shown, *CAPTION_FONT, 1)[0][0] > width_px:
        shown = shown.removesuffix("...")[:-1] + "..."
    return shown


def _dot(
    canvas: np.ndarray, centre: Sequence[int], radius_px: int, colour: Colour, hollow: bool
) -> None:
    cv2.circle(canvas, centre, radius_px + 1, (0, 0, 0), 2 if hollow else -1, cv2.LINE_AA)
    cv2.circle(canvas, centre, radius_px, colour, 1 if hollow else -1, cv2.LINE_AA)


def _bgr(rgb: Sequence[int]) -> Colour:
    red, green, blue = (int(channel) for channel in rgb)
    return blue, green, red
