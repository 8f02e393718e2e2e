from __future__ import annotations

import numpy as np
import pytest

from equikpt.evaluation.functional.reliability import fit_score_map, reliability


def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that say too little: a hit is as likely as the root of the score."""
    scores = rng.uniform(0, 1, count)
    return scores, rng.uniform(size=count) < np.sqrt(scores)


def test_the_map_makes_other_scores_come_true():
    rng = np.random.default_rng(0)
    mapped = fit_score_map(*draw(rng, 2000))
    scores, hits = draw(rng, 20_000)
    before = reliability(scores, hits).expected_calibration_error
    assert before > 0.1
    assert reliability(mapped(scores), hits).expected_calibration_error < 0.03


def test_the_map_rises_and_is_never_certain():
    scores, hits = draw(np.random.default_rng(1), 300)
    mapped = fit_score_map(scores, hits)
    values = mapped(np.linspace(-1, 2, 1000))
    assert (np.diff(values) >= 0).all()
    assert 0 < values.min() < values.max() < 1


def test_one_score_for_all_gives_the_fraction_of_hits():
    mapped = fit_score_map(np.full(10, 0.7), np.arange(10) < 4)
    assert mapped(np.array([0.1, 0.9])) == pytest.approx([0.4, 0.4])


def test_nothing_to_calibrate_with_is_refused():
    with pytest.raises(ValueError, match="held-out"):
        fit_score_map(np.zeros(0), np.zeros(0, bool))


def drawn(right_at, count: int = 40_000):
    """Scores, and whether each is right: with the probability that ``right_at`` gives it."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, count)
    return scores, (rng.uniform(0, 1, count) < right_at(scores)).astype(float)


@pytest.mark.parametrize(
    ("right_at", "error", "sign"),
    [
        pytest.param(lambda scores: scores, 0, 1, id="calibrated"),
        pytest.param(lambda scores: scores**2, 1 / 2 - 1 / 3, 1, id="overconfident"),
        pytest.param(lambda scores: np.sqrt(scores), 2 / 3 - 1 / 2, -1, id="underconfident"),
    ],
)
def test_a_known_gap_is_found(right_at, error, sign):
    """The expectation of |s − p(s)| over uniform scores, where p lies on one side of s."""
    found = reliability(*drawn(right_at))
    assert found.expected_calibration_error == pytest.approx(error, abs=0.01)
    assert found.overconfidence == pytest.approx(sign * error, abs=0.01)


def test_by_hand():
    """Bins 0.1 wide; the error is the sum over bins of their fraction of points times their gap."""
    scores = np.array([0.1, 0.18, 0.95, 1.0, 0.95, 0.5])
    found = reliability(scores, np.array([0.0, 1.0, 1.0, 0.0, 1.0, np.nan]))
    assert found.bins["points"].to_dict() == {1: 2, 9: 3}
    assert found.bins["score"].tolist() == pytest.approx([0.14, 2.9 / 3])
    assert found.bins["right"].tolist() == pytest.approx([0.5, 2 / 3])
    assert found.bins["left"].tolist() == pytest.approx([0.1, 0.9])
    assert found.expected_calibration_error == pytest.approx(2 / 5 * 0.36 + 3 / 5 * 0.3)


def test_gaps_do_not_cancel_and_odd_scores_are_counted():
    found = reliability(np.array([0.25, 0.25, 0.75, 0.75]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert found.expected_calibration_error == pytest.approx(0.75)
    assert found.overconfidence == pytest.approx(0)
    found = reliability(np.array([-0.2, 1.4, 0.5]), np.array([0.0, 1.0, 1.0]))
    assert found.outside == 2
    assert found.bins.loc[[0, 9], "score"].tolist() == [0, 1]
    found = reliability(np.array([0.5]), np.array([np.nan]))
    assert np.isnan([found.expected_calibration_error, found.overconfidence]).all()


def test_the_interval_is_wilsons():
    """Worked out by hand for 8 of 10."""
    found = reliability(np.full(10, 0.5), np.array([1.0] * 8 + [0.0] * 2))
    assert found.bins.loc[5, ["low", "high"]].tolist() == pytest.approx([0.4902, 0.9433], abs=1e-4)
