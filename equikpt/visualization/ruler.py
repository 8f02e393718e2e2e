"""The radiographs on which ruler marks were missed by most, to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from equikpt.core.files import write_bytes
from equikpt.core.radiograph import read_radiograph
from equikpt.metainfo.p1p2 import MARKS
from equikpt.visualization.pose import (
    ERROR_BGR,
    PREDICTION_BGR,
    TARGET_BGR,
    contact_sheet,
    zoom_in,
)

CELL_PX = 420


def worst_radiographs(table: pd.DataFrame, count: int = 12) -> pd.DataFrame:
    """The rows of :class:`RulerMetric`'s table with the largest error of a mark, worst first."""
    largest = table[[f"{mark}_error_px" for mark in MARKS]].max(axis=1)
    return table.loc[largest.sort_values(ascending=False, kind="stable").index[:count]]


def write_worst_sheet(table: pd.DataFrame, image: Path, count: int = 12) -> None:
    """Write the sheet of the worst radiographs; a file that exists is replaced."""
    encoded = cv2.imencode(image.suffix, worst_sheet(table, count))[1]
    write_bytes(image, encoded.tobytes())


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


def worst_sheet(table: pd.DataFrame, count: int = 12) -> np.ndarray:
    """:func:`draw_radiograph` of :func:`worst_radiographs`, laid out in rows of four."""
    rows = [row for _, row in worst_radiographs(table, count).iterrows()]
    captions = [
        f"{row['radiograph']}: scale off by {row['scale_error_percent']:.2f} %" for row in rows
    ]
    bar = tqdm(rows, desc="drawing", unit="radiograph", delay=5, disable=None)
    return contact_sheet([draw_radiograph(row) for row in bar], 4, captions, (CELL_PX, CELL_PX))
