"""Marked poses and steps drawn into images, and many images laid out on one sheet.

Images are (H, W, 3) uint8, BGR; what is drawn into is a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from equikpt_runtime.drawing import (
    CAPTION_FONT,
    ERROR_BGR,
    draw_pose,
    draw_sequence,
    outlined_text,
    pixel,
)
from equikpt_runtime.drawing import draw_instance as draw_instance

TARGET_BGR = (80, 220, 80)
PREDICTION_BGR = (60, 60, 240)
BOX_BGR = (230, 230, 230)
RING_BGR = (60, 60, 255)
RING_RADIUS_PX = 8


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
