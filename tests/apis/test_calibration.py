from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from equikpt.apis.calibration import Plausible, calibrate, judge, plausible_from

UPRIGHT = np.array([[100.0, 200.0], [100.0, 160.0]])  # 40 px
LIMITS = Plausible(distance=(0.05, 0.2), angle_deg=(60, 120), score=0.5)


def judged(marks=UPRIGHT, scores=(0.9, 0.8), spacing_mm=None, height_px=400):
    return judge("radiograph.png", marks, np.array(scores), height_px, 10.0, LIMITS, spacing_mm)


def test_the_scale_is_the_rulers_length_over_the_distance():
    scale = judged()
    assert scale.mm_per_px == pytest.approx(0.25)
    assert (scale.confidence, scale.refused) == (0.8, "")
    assert (scale.distance_px, scale.angle_deg) == (pytest.approx(40), pytest.approx(90))
    assert (scale.p1_x, scale.p1_y, scale.p2_x, scale.p2_y) == (100, 200, 100, 160)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (dict(scores=(0.9, 0.4)), "score 0.40, below 0.5"),
        (dict(height_px=1000), "marks 40.0 px apart, expected 50 to 200"),
        (dict(height_px=150), "marks 40.0 px apart, expected 8 to 30"),
        (dict(marks=UPRIGHT[::-1]), "ruler at -90°, expected 60° to 120°"),
        (dict(marks=UPRIGHT + [[0, 0], [30, 0]]), "ruler at 53°"),
        (dict(spacing_mm=0.1), "the file's header says 0.1000"),
    ],
)
def test_what_is_implausible_is_refused_with_the_reason(changes, reason):
    scale = judged(**changes)
    assert scale.mm_per_px is None
    assert reason in scale.refused


def test_a_header_that_nearly_agrees_is_no_reason():
    assert judged(spacing_mm=0.23).mm_per_px == pytest.approx(0.25)


def test_a_labelled_set_says_what_is_plausible(sample_radiographs):
    limits = plausible_from(
        sample_radiographs / "annotations_p1_p2_train.json",
        sample_radiographs / "images",
        score=0.4,
    )
    assert limits.distance == (pytest.approx(0.16 * 0.75), pytest.approx(0.16 * 1.25))
    assert limits.angle_deg == (pytest.approx(78), pytest.approx(102))
    assert limits.score == 0.4


def test_a_radiograph_that_cannot_be_read_ends_no_batch(tmp_path):
    good, broken = tmp_path / "good.png", tmp_path / "broken.png"
    cv2.imwrite(str(good), np.zeros((400, 300), np.uint8))
    broken.write_text("no image")
    radiographs = [str(path) for path in (broken, tmp_path / "absent.dcm", good)]
    lost, absent, scale = calibrate(
        radiographs, lambda radiograph: (UPRIGHT, np.ones(2)), 10.0, LIMITS
    )
    assert (lost.is_read, absent.is_read, scale.is_read) == (False, False, True)
    assert "none of JPEG" in lost.refused
    assert math.isnan(lost.p1_x)
    assert scale.mm_per_px == pytest.approx(0.25)
