import numpy as np
import pandas as pd
import pytest

from equikpt.evaluation.functional.keypoint_measures import PosePredictions
from equikpt.report import breakdown
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


def test_errors_by_radius_grow_with_it():
    rng = np.random.default_rng(0)
    radii_px = rng.uniform(1, 50, (100, 3))
    gt = rng.uniform(0, 500, (100, 3, 2))
    predicted = gt + radii_px[..., None] * rng.uniform(-0.5, 0.5, (100, 3, 2))
    visibility = np.tile([2, 2, 0], (100, 1))
    boxes, areas = np.tile([0, 0, 500, 500], (100, 1)), np.full(100, 500**2)
    pose = PosePredictions(predicted, np.ones((100, 3)), gt, visibility, boxes, areas)
    table = breakdown.by_radius(pose, radii_px)
    assert len(table) == 10
    assert (table["median_px"] < table["high_px"]).all()
    assert (table["high_px"] < table["radius_px"]).all()
    assert np.corrcoef(table["radius_px"], table["median_px"])[0, 1] > 0.9
