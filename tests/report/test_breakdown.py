import numpy as np
import pandas as pd
import pytest

from equikpt.report import breakdown
from equikpt.report.breakdown import reliability
from equikpt.report.evaluation import poses_of
from tests.report.made_tests import META, NAMES, pose

SWAP = META["flip_indices"]
ONE_SIDE = [[(100.0, 50, 2), (60, 150, 2), (140, 150, 0), (0, 0, 0)]]


def spread(by: str, *samples) -> pd.DataFrame:
    return breakdown.spreads(poses_of(samples))[by].set_index("part")


def test_errors_are_fractions_of_the_longer_side():
    error = breakdown.error_fractions(poses_of([pose(16), pose((0, 8, 32, 99))]))
    assert error[0, :3].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert error[1, :3].tolist() == pytest.approx([0, 0.05, 0.2])
    assert np.isnan(error[:, 3]).all()


def test_seen_and_hidden_points_are_apart():
    found = spread("visibility", pose((8, 8, 32, 0)), pose((8, 8, 48, 0)))
    assert found.index.tolist() == ["seen", "hidden"]
    assert found.loc["seen"].tolist() == pytest.approx([4, 0.05, 0.05, 0.05, 1])
    assert found.loc["hidden"].tolist() == pytest.approx([2, 0.225, 0.25, 0.275, 0])
    assert spread("visibility", pose(gt=ONE_SIDE)).index.tolist() == ["seen"]


def test_sizes_are_quarters_and_lose_nobody():
    sizes = [100.0, 110, 120, 130, 200, 210, 220, 230]
    found = spread("size", *(pose(size / 10, areas=[size**2]) for size in sizes))
    assert found.index.tolist() == ["below 118", "118–165", "165–212", "from 212"]
    assert found["points"].tolist() == [6, 6, 6, 6]
    assert found["median"].is_monotonic_increasing
    of_one_size = spread("size", pose(1, areas=[100.0**2]), pose(2, areas=[100.0**2]))
    assert of_one_size["points"].tolist() == [6]


def test_scores_are_those_of_the_point():
    found = spread("score", pose((0, 16, 32, 0)))["median"].to_dict()
    assert found == pytest.approx({"0.4–0.6": 0.2, "from 0.8": 0.05})


def test_exchanged_sides_are_counted_by_pair():
    samples = [pose(swapped=True), pose(), pose(swapped=True), pose((0, 80, 0, 0))]
    (pair,) = breakdown.by_pair(poses_of(samples), NAMES, SWAP).to_numpy().tolist()
    assert pair == ["l_hoof / r_hoof", 4, 3, 2, 2, pytest.approx(62.5)]
    assert breakdown.by_pair(poses_of([pose(gt=ONE_SIDE)]), NAMES, SWAP).empty


def test_instances_from_the_best_to_the_worst():
    unlabelled = pose(gt=[np.zeros((4, 3)).tolist()])
    samples = [pose(32), pose(8, swapped=True), unlabelled, pose((0, 0, 24, 0))]
    found = breakdown.by_instance(poses_of(samples), SWAP)
    assert found.index.tolist() == [3, 0, 1]
    expected = dict(
        points=3, right=2, error=0.05, inverted=0, score=0.7, size_px=np.sqrt(120 * 160)
    )
    assert found.loc[3].to_dict() == pytest.approx(expected)
    assert found.loc[0, ["right", "inverted"]].tolist() == [0, 0]
    assert found.loc[1, "inverted"] == 2


# --- scores against correctness ---


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
