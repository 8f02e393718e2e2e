"""Ruler marks and their errors drawn into their surroundings."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from equikpt.core.radiograph import read_radiograph
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import (
    ERROR_BGR,
    PREDICTION_BGR,
    TARGET_BGR,
    zoom_in,
)

CELL_PX = 420


def draw_radiograph(row: pd.Series) -> np.ndarray:
    """The surroundings of one radiograph's marks: ground truth green, prediction red, lines yellow.

    Args:
        row: Of :class:`RulerMetric`'s table; its ``path`` is read.

    Returns:
        (420, 420, 3) uint8, BGR.

    Raises:
        OSError: The radiograph cannot be read any more.
    """
    gt = np.array([[row[f"{mark}_true_x"], row[f"{mark}_true_y"]] for mark in MARKS])
    predicted = np.array([[row[f"{mark}_x"], row[f"{mark}_y"]] for mark in MARKS])
    distance = float(row["true_distance_px"])
    cell, places = zoom_in(
        read_radiograph(row["path"]), np.concatenate([gt, predicted]), CELL_PX, 0.9 * distance
    )
    for mark, true_place, place in zip(MARKS, places[:2], places[2:], strict=True):
        start, end = (tuple(int(v) for v in np.round(p)) for p in (true_place, place))
        cv2.line(cell, start, end, ERROR_BGR, 1, cv2.LINE_AA)
        cv2.drawMarker(cell, start, TARGET_BGR, cv2.MARKER_CROSS, 18, 1, cv2.LINE_AA)
        cv2.drawMarker(cell, end, PREDICTION_BGR, cv2.MARKER_TILTED_CROSS, 14, 1, cv2.LINE_AA)
        text = f"{mark} err={row[f'{mark}_error_px']:.2f}px"
        beside = (start[0] + 14, start[1] + 4)
        cv2.putText(cell, text, beside, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ERROR_BGR, 1, cv2.LINE_AA)
    return cell
