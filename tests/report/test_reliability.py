from __future__ import annotations

import numpy as np
import pytest

from equikpt.report.reliability import reliability


def drawn(share_right, count: int = 40_000, seed: int = 0):
    """Scores, and whether each is right: with the probability that ``share_right`` gives it."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, count)
    return scores, (rng.uniform(0, 1, count) < share_right(scores)).astype(float)


def test_a_calibrated_model_has_hardly_an_error():
    found = reliability(*drawn(lambda scores: scores))
    assert found.expected_calibration_error < 0.01
    assert abs(found.overconfidence) < 0.01
    assert np.abs(found.accuracy - found.confidence).max() < 0.05


@pytest.mark.parametrize(
    ("share_right", "error", "sign"),
    [
        pytest.param(lambda scores: scores**2, 1 / 2 - 1 / 3, 1, id="overconfident"),
        pytest.param(lambda scores: np.sqrt(scores), 2 / 3 - 1 / 2, -1, id="underconfident"),
    ],
)
def test_a_known_gap_is_found(share_right, error, sign):
    """The expectation of |s − p(s)| over uniform scores, where p lies on one side of s."""
    found = reliability(*drawn(share_right))
    assert found.expected_calibration_error == pytest.approx(error, abs=0.01)
    assert found.overconfidence == pytest.approx(sign * error, abs=0.01)


def test_gaps_of_both_signs_do_not_cancel():
    scores = np.array([0.25, 0.25, 0.75, 0.75])
    found = reliability(scores, np.array([1.0, 1.0, 0.0, 0.0]))
    assert found.expected_calibration_error == pytest.approx(0.75)
    assert found.overconfidence == pytest.approx(0)


def test_by_hand():
    """Bins 0.1 wide; the error is the sum over bins of their share times their gap."""
    scores = np.array([0.1, 0.18, 0.95, 1.0, 0.95])
    right = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    found = reliability(scores, right)
    assert found.counts.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 3]
    assert found.confidence[[1, 9]] == pytest.approx([0.14, 2.9 / 3])
    assert found.accuracy[[1, 9]] == pytest.approx([0.5, 2 / 3])
    assert np.isnan(found.accuracy[0])
    expected = 2 / 5 * 0.36 + 3 / 5 * 0.3
    assert found.expected_calibration_error == pytest.approx(expected)


def test_points_without_a_label_are_left_out():
    scores, right = drawn(lambda s: s, count=500)
    more = np.append(scores, [0.5] * 100), np.append(right, [np.nan] * 100)
    assert reliability(*more).counts.tolist() == reliability(scores, right).counts.tolist()


def test_scores_that_are_no_probabilities_are_counted_and_clipped():
    found = reliability(np.array([-0.2, 1.4, 0.5]), np.array([0.0, 1.0, 1.0]))
    assert found.outside == 2
    assert found.confidence[[0, 9]].tolist() == [0, 1]


def test_without_a_labelled_point_there_is_no_error():
    found = reliability(np.array([0.5]), np.array([np.nan]))
    assert np.isnan(found.expected_calibration_error)
    assert np.isnan(found.overconfidence)


def test_wilsons_interval():
    """Worked out by hand for 8 of 10; and of many samples it holds the ground truth of 95 %."""
    low, high = reliability(np.full(10, 0.5), np.array([1.0] * 8 + [0.0] * 2)).interval()
    assert (low[5], high[5]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert np.isnan(low[0])
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        right = (rng.uniform(size=60) < 0.7).astype(float)
        low, high = reliability(np.full(60, 0.5), right).interval()
        held += low[5] <= 0.7 <= high[5]
    assert 0.92 <= held / 400 <= 0.98
