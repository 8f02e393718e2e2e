"""Ruler marks drawn on radiographs, enlarged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd

from equikpt.core.radiograph import read_radiograph
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import PREDICTION_BGR, TARGET_BGR, zoom_in
from equikpt_runtime.drawing import CAPTION_FONT, ERROR_BGR, pixel

RADIOGRAPH_PX = 420
"""Side of a drawing of predicted marks."""
LABELS_PX = 320
"""Side of a drawing of labels."""
COLORS_BGR = {"p1": (80, 220, 80), "p2": (60, 160, 255)}


def draw_radiograph(row: pd.Series) -> np.ndarray:
    """Draw a ruler and its surroundings: ground truth green, prediction red, lines yellow.

    ``row`` is of :class:`RulerMetric`'s table; its ``path`` is read.

    Returns:
        (420, 420, 3) uint8, BGR.
    """
    points = np.array(
        [[row[f"{mark}_{of}{axis}"] for axis in "xy"] for of in ("true_", "") for mark in MARKS]
    )
    min_half_px = 0.9 * float(row["true_distance_px"])
    cell, points = zoom_in(read_radiograph(row["path"]), points, RADIOGRAPH_PX, min_half_px)
    for mark, gt, predicted in zip(MARKS, points[:2], points[2:], strict=True):
        start, end = pixel(gt), pixel(predicted)
        cv2.line(cell, start, end, ERROR_BGR, 1, cv2.LINE_AA)
        cv2.drawMarker(cell, start, TARGET_BGR, cv2.MARKER_CROSS, 18, 1, cv2.LINE_AA)
        cv2.drawMarker(cell, end, PREDICTION_BGR, cv2.MARKER_TILTED_CROSS, 14, 1, cv2.LINE_AA)
        text = f"{mark} err={row[f'{mark}_error_px']:.2f}px"
        beside = (start[0] + 14, start[1] + 4)
        cv2.putText(cell, text, beside, *CAPTION_FONT, ERROR_BGR, 1, cv2.LINE_AA)
    return cell


def draw_ruler_labels(
    image: np.ndarray, points: Mapping[str, Sequence[tuple[float, float]]]
) -> np.ndarray:
    """Draw the surroundings of labelled marks, with the marks; else the whole image.

    Args:
        image: (H, W, 3) uint8, BGR.
        points: x, y of all labels of each name, in percent of the image.

    Returns:
        (``LABELS_PX``, ``LABELS_PX``, 3) uint8, BGR, or the image where nothing is labelled.
    """
    height, width = image.shape[:2]
    names = [name for name, found in points.items() for _ in found]
    if not names:
        return image
    percent = np.array([point for found in points.values() for point in found])
    cell, placed = zoom_in(image, percent / 100 * (width, height), LABELS_PX, 0.05 * height)
    for name, xy in zip(names, placed, strict=True):
        x, y = pixel(xy)
        color, font = COLORS_BGR.get(name, (200, 200, 200)), cv2.FONT_HERSHEY_SIMPLEX
        cv2.drawMarker(cell, (x, y), color, cv2.MARKER_CROSS, 14, 1, cv2.LINE_AA)
        cv2.putText(cell, name, (x + 8, y - 6), font, 0.45, color, 1, cv2.LINE_AA)
    return cell
