"""Drawings over a pose: names, errors, labels of animals, heatmaps and SimCC.

All take images (H, W, 3) uint8, BGR, and return a changed copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from equikpt.visualization.pose import (
    CAPTION_FONT,
    ERROR_BGR,
    TARGET_BGR,
    dot_radius_px,
    outlined_text,
)

TEXT_BGR = (245, 245, 245)
LABELS_BGR = (
    *((235, 235, 235), (86, 180, 233), (233, 180, 86), (160, 220, 90)),
    *((200, 130, 230), (80, 230, 230), (150, 150, 255)),
)
"""Colours of boxes and their tabs: the first for animals without a number, then in turns."""
HEAT_OPACITY = 0.65
BAND_SHARE = 0.2
"""Greatest width of a SimCC band, as a share of the image's shorter side."""


def text_size(image: np.ndarray) -> float:
    """Size of text in an image, 1 up to a diagonal of 1000 px."""
    return max(1.0, math.hypot(*image.shape[:2]) / 1000)


def draw_names(image: np.ndarray, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Names beside points, on the side that faces away from their middle, none over another.

    Args:
        image: Image.
        points: (K, 2) px; NaN for points without a name.
        names: K of them.
    """
    canvas, size = image.copy(), 0.8 * text_size(image)
    shown = np.isfinite(points).all(axis=1)
    if not shown.any():
        return canvas
    middle_x = points[shown, 0].mean()
    taken: list[np.ndarray] = []
    for (x, y), name in zip(points[shown], np.asarray(names)[shown], strict=True):
        width_px, height_px = _text_px(name, size)
        gap_px = dot_radius_px(image) + 3
        left = x + gap_px if x >= middle_x else x - gap_px - width_px
        left = min(max(left, 0), image.shape[1] - width_px)
        places = [
            np.array([left, top, left + width_px, top + height_px])
            for top in y - height_px / 2 + height_px * np.array([0, 1, -1, 2, -2, 3, -3])
        ]
        place = next((box for box in places if not _touches(box, taken)), places[0])
        taken.append(place)
        outlined_text(canvas, name, (round(place[0]), round(place[3] - 4)), TEXT_BGR, size)
    return canvas


def draw_label(image: np.ndarray, box: np.ndarray, text: str, number: int = 0) -> np.ndarray:
    """A box and a tab inside its upper left corner.

    Args:
        image: Image.
        box: (4,) left, top, right and bottom in px.
        text: On the tab.
        number: Of the animal, which decides the colour.
    """
    canvas, size, colour = image.copy(), text_size(image), LABELS_BGR[number % len(LABELS_BGR)]
    left, top, right, bottom = (round(float(value)) for value in box)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, max(1, round(size)), cv2.LINE_AA)
    width_px, height_px = _text_px(text, size)
    left, top = max(left, 0), max(top, 0)
    cv2.rectangle(canvas, (left, top), (left + width_px + 6, top + height_px + 4), colour, -1)
    font, scale = CAPTION_FONT
    origin = (left + 3, top + height_px - 1)
    stroke = max(1, round(size))
    cv2.putText(canvas, text, origin, font, scale * size, (0, 0, 0), stroke, cv2.LINE_AA)
    return canvas


def draw_errors(
    image: np.ndarray, predicted: np.ndarray, gt: np.ndarray, labelled: np.ndarray
) -> np.ndarray:
    """Rings at the true points, and lines with their length in px to the predicted ones.

    An error that is smaller than the dots has no number.

    Args:
        image: Image.
        predicted: (K, 2) px.
        gt: (K, 2) px.
        labelled: (K,) bool.
    """
    canvas, size, radius_px = image.copy(), text_size(image), dot_radius_px(image)
    shown = labelled & np.isfinite(predicted).all(axis=1)
    for start, end in zip(gt[shown], predicted[shown], strict=True):
        a, b = (tuple(int(value) for value in np.round(point)) for point in (start, end))
        cv2.line(canvas, a, b, ERROR_BGR, max(1, round(size)), cv2.LINE_AA)
    for point in gt[labelled]:
        centre = tuple(int(value) for value in np.round(point))
        cv2.circle(canvas, centre, radius_px + 2, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.circle(canvas, centre, radius_px + 2, TARGET_BGR, max(1, round(size)), cv2.LINE_AA)
    for start, end in zip(gt[shown], predicted[shown], strict=True):
        error_px = float(np.hypot(*(end - start)))
        if error_px > 2 * radius_px:
            x, y = (start + end) / 2
            origin = (round(x) + radius_px, round(y) - radius_px)
            outlined_text(canvas, f"{error_px:.0f}", origin, ERROR_BGR, 0.8 * size)
    return canvas


def draw_heat(image: np.ndarray, heat: np.ndarray, to_image: np.ndarray) -> np.ndarray:
    """Heatmaps of one instance, each cell where it lies; the strongest is fully coloured.

    Args:
        image: Image.
        heat: (K, h, w), 0 or above.
        to_image: (2, 3) from cells to px of the image.
    """
    strongest = heat.max(axis=0).astype(np.float32)
    strongest /= max(float(strongest.max()), 1e-6)
    warped = _warped(strongest, to_image, image.shape[1::-1])
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
    """SimCC's marginals: a row a keypoint along the upper edge, a column each along the left one.

    Args:
        image: Image.
        along_x: (K, w), 0 or above.
        along_y: (K, h).
        to_image: (2, 3) from cells to px of the image.
        colours: (K, 3) RGB of the keypoints.
    """
    canvas, (height, width) = image.copy(), image.shape[:2]
    count = len(colours)
    stripe_px = max(1, int(BAND_SHARE * min(height, width)) // count)
    band_px = stripe_px * count
    for shares, axis, length in ((along_x, 0, width), (along_y, 1, height)):
        scale, shift = to_image[axis, axis], to_image[axis, 2]
        matrix = np.array([[scale, 0, shift], [0, 1, 0]])
        rows = shares / np.maximum(shares.max(axis=1, keepdims=True), 1e-6)
        stretched = _warped(rows.astype(np.float32), matrix, (length, count))
        band = stretched[..., None] * colours[:, None, ::-1]
        band = band.repeat(stripe_px, axis=0)
        part = canvas[:band_px] if axis == 0 else canvas[:, :band_px].transpose(1, 0, 2)
        part[:] = np.round(0.3 * part + 0.7 * band).astype(np.uint8)
    return canvas


def _warped(cells: np.ndarray, matrix: np.ndarray, size_px: Sequence[int]) -> np.ndarray:
    """(h, w) cells as (height, width) px."""
    return cv2.warpAffine(cells, matrix, (size_px[0], size_px[1]), flags=cv2.INTER_LINEAR)


def _text_px(text: str, size: float) -> tuple[int, int]:
    """Width and height of a line of text."""
    font, scale = CAPTION_FONT
    (width, height), below = cv2.getTextSize(text, font, scale * size, max(1, round(size)))
    return width, height + below


def _touches(box: np.ndarray, others: Sequence[np.ndarray]) -> bool:
    """Tell if a box (4,) has px in common with one of others."""
    return any((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all() for other in others)
