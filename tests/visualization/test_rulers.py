from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation import RulerMetric
from equikpt.visualization.pose import PREDICTION_BGR, TARGET_BGR
from equikpt.visualization.rulers import (
    COLORS_BGR,
    LABELS_PX,
    RADIOGRAPH_PX,
    draw_radiograph,
    draw_ruler_labels,
)
from equikpt_runtime.drawing import ERROR_BGR


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    """Radiographs whose p1 is off by 1, 9 and 3 px and whose p2 is right."""
    path = tmp_path / "radiograph.png"
    cv2.imwrite(str(path), np.full((300, 200), 40, np.uint8))
    rows = [
        dict(
            radiograph=f"{off}.png", path=str(path), scale_error_percent=off / 0.4,
            true_distance_px=40.0, p1_error_px=float(off), p2_error_px=0.0,
            p1_x=100.0 + off, p1_y=200.0, p1_true_x=100.0, p1_true_y=200.0,
            p2_x=100.0, p2_y=160.0, p2_true_x=100.0, p2_true_y=160.0,
        )
        for off in (1, 9, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_gt_prediction_and_error_are_drawn_where_they_are(table):
    image = draw_radiograph(table.loc[1])
    found = {
        name: np.argwhere((np.abs(image.astype(int) - colour) < 30).all(axis=2))
        for name, colour in (("true", TARGET_BGR), ("off", PREDICTION_BGR), ("error", ERROR_BGR))
    }
    assert all(len(coords) > 5 for coords in found.values())
    lowest = {name: coords[coords[:, 0].argmax()] for name, coords in found.items()}
    # 72 px of the radiograph are 420 of the cell: 9 px to the right are 52.
    assert lowest["off"][1] - lowest["true"][1] == pytest.approx(52, abs=12)


def test_the_sheet_shows_the_worst_first(table):
    metric = RulerMetric()
    metric.table = table
    assert [Path(each.path).name for each in metric.ranked(table)] == 3 * ["radiograph.png"]
    assert metric.sheet(12).shape[1] == 3 * RADIOGRAPH_PX
    metric.table = pd.concat([table] * 3, ignore_index=True)
    assert metric.sheet(8).shape[1] == 4 * RADIOGRAPH_PX
    worst, alone = metric.sheet(1), draw_radiograph(table.loc[1])
    np.testing.assert_array_equal(worst[:RADIOGRAPH_PX], alone)


def test_labels_are_drawn_where_they_are():
    image = np.full((200, 100, 3), 40, np.uint8)
    image[110:131, 25:36] = 200  # around p1
    cell = draw_ruler_labels(image, dict(p1=[(30.0, 60.0)], p2=[(30.0, 40.0)], odd=[])).astype(int)
    lower, upper = (
        np.median(np.argwhere((np.abs(cell - COLORS_BGR[name]) < 30).all(axis=2))[:, 0])
        for name in ("p1", "p2")
    )
    # 40 px apart in a square of 60 px, which is 320 of the cell
    assert lower - upper == pytest.approx(40 * 320 / 60, abs=8)
    bright = np.argwhere((cell == 200).all(axis=2)).mean(axis=0)
    assert bright == pytest.approx((lower, LABELS_PX / 2), abs=12)
    assert draw_ruler_labels(image, {}) is image
