from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from equikpt.report import breakdown
from equikpt.report.evaluation import poses_of
from tests.report.made_tests import META, NAMES, pose

SWAP = META["flip_indices"]


def test_errors_are_fractions_of_the_longer_side():
    error = breakdown.error_fractions(poses_of([pose(16), pose((0, 8, 32, 99))]))
    assert error[0, :3].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert error[1, :3].tolist() == pytest.approx([0, 0.05, 0.2])
    assert np.isnan(error[:, 3]).all()


def test_seen_and_hidden_points_are_told_apart():
    found = breakdown.by_visibility(poses_of([pose((8, 8, 32, 0)), pose((8, 8, 48, 0))]))
    seen, hidden = found
    assert (seen.part, seen.points, seen.median, seen.right) == ("seen", 4, pytest.approx(0.05), 1)
    assert (hidden.part, hidden.points) == ("hidden", 2)
    assert (hidden.low, hidden.median, hidden.high) == pytest.approx((0.225, 0.25, 0.275))
    assert hidden.right == 0


def test_a_part_without_points_is_left_out():
    nowhere = pose(0, gt=[[(100.0, 50, 2), (60, 150, 2), (140, 150, 2), (0, 0, 0)]])
    assert [part.part for part in breakdown.by_visibility(poses_of([nowhere]))] == ["seen"]


def test_sizes_are_quarters_and_lose_nobody():
    sizes = [100.0, 110, 120, 130, 200, 210, 220, 230]
    samples = [pose(size / 10, areas=[size**2]) for size in sizes]
    found = breakdown.by_size(poses_of(samples))
    assert [part.part for part in found] == ["below 118", "118–165", "165–212", "from 212"]
    assert [part.points for part in found] == [6, 6, 6, 6]
    medians = [part.median for part in found]
    assert medians == sorted(medians)


def test_sets_of_one_size_are_one_part():
    found = breakdown.by_size(poses_of([pose(1, areas=[100.0**2]), pose(2, areas=[100.0**2])]))
    assert sum(part.points for part in found) == 6
    assert len(found) == 1


def test_scores_are_those_of_the_point():
    found = breakdown.by_score(poses_of([pose((0, 16, 32, 0))]))
    told = {part.part: part.median for part in found}
    assert told == pytest.approx({"0.4–0.6": 0.2, "from 0.8": 0.05})


def test_exchanged_sides_are_counted_by_pair():
    samples = [pose(swapped=True), pose(), pose(swapped=True), pose((0, 80, 0, 0))]
    (pair,) = breakdown.by_pair(poses_of(samples), NAMES, SWAP)
    assert pair == breakdown.Pair(("l_hoof", "r_hoof"), tried=4, exchanged=(3, 2), both=2)
    assert pair.share == pytest.approx(5 / 8)


def test_a_pair_that_is_nowhere_labelled_is_left_out():
    gt = [[(100.0, 50, 2), (60, 150, 2), (140, 150, 0), (0, 0, 0)]]
    assert breakdown.by_pair(poses_of([pose(gt=gt)]), NAMES, SWAP) == []


def test_instances_from_the_best_to_the_worst():
    unlabelled = pose(gt=[np.zeros((4, 3)).tolist()])
    samples = [pose(32), pose(8, swapped=True), unlabelled, pose((0, 0, 24, 0))]
    best, middle, worst = breakdown.by_instance(poses_of(samples), SWAP)
    assert [best.index, middle.index, worst.index] == [3, 0, 1]
    expected = breakdown.Instance(3, 3, 0.05, 2, 0, 0.7, np.sqrt(120 * 160))
    for name, value in dataclasses.asdict(expected).items():
        assert getattr(best, name) == pytest.approx(value), name
    assert (middle.right, middle.exchanged, worst.exchanged) == (0, 0, 2)
