from __future__ import annotations

import numpy as np
import pytest

from equikpt.data_tools.sigmas.estimate import estimate_sigmas, pool_sides
from equikpt.evaluation.functional.keypoint_errors import oks


def test_a_click_one_sigma_off_has_cocos_similarity():
    """COCO: one, two and three sigma give e^(-1/8), e^(-4/8) and e^(-9/8)."""
    squared = np.full((30, 1), 0.06**2)
    sigma = estimate_sigmas(squared, np.arange(30)).sigma
    np.testing.assert_allclose(sigma, [0.06])
    distances = np.array([[1.0], [2.0], [3.0]]) * sigma * 100
    similarity = oks(distances, np.full(3, 100.0**2), sigma)
    np.testing.assert_allclose(similarity[:, 0], np.exp([-1 / 8, -4 / 8, -9 / 8]))


def normal_errors(sigma: float, count: int, seed: int) -> np.ndarray:
    """(count, 1) d² / s² of errors that are normal in x and in y."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, sigma / np.sqrt(2), (count, 2)) ** 2).sum(axis=1)[:, None]


@pytest.mark.parametrize("estimator", ["mean", "median"])
def test_both_estimators_find_the_sigma_of_normal_errors(estimator):
    squared = normal_errors(0.07, 20_000, seed=0)
    found = estimate_sigmas(squared, np.arange(len(squared)) // 10, estimator, resamples=50)
    np.testing.assert_allclose(found.sigma, [0.07], rtol=0.02)
    assert found.low[0] < found.sigma[0] < found.high[0]


def test_gross_errors_move_the_mean_and_not_the_median():
    squared = normal_errors(0.07, 2000, seed=0)
    squared[::5] = normal_errors(1.0, 400, seed=1)
    clusters = np.arange(2000)
    assert estimate_sigmas(squared, clusters, "mean", 20).sigma[0] > 0.3
    # a fifth of outliers makes of the median at most the 5/8 quantile
    assert 0.07 <= estimate_sigmas(squared, clusters, "median", 20).sigma[0] < 0.07 * 1.2


def test_clusters_of_like_errors_give_wider_intervals():
    squared = np.repeat(normal_errors(0.07, 30, seed=0), 10, axis=0)
    as_clusters = estimate_sigmas(squared, np.arange(300) // 10)
    alone = estimate_sigmas(squared, np.arange(300))
    assert as_clusters.sigma == alone.sigma
    assert as_clusters.high - as_clusters.low > 2 * (alone.high - alone.low)


def test_where_nothing_can_be_told_there_is_no_number():
    squared = np.array([[0.01, np.nan, 0.01], [0.02, np.nan, np.nan]])
    found = estimate_sigmas(squared, np.array([0, 1]))
    assert found.count.tolist() == [2, 0, 1]
    assert np.isfinite(found.sigma).tolist() == [True, False, True]
    assert np.isfinite(found.low).tolist() == [True, False, False]  # one cluster: no interval


def test_sides_are_pooled_and_the_midline_is_not_counted_twice():
    squared = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])
    pooled = pool_sides(squared, np.array([0, 2, 1]))
    assert [sorted(column[np.isfinite(column)]) for column in pooled.T] == [
        [1, 4], [2, 3, 6], [2, 3, 6],
    ]  # fmt: skip


def test_an_unknown_estimator_is_named():
    with pytest.raises(ValueError, match="no estimator 'mode'; expected one of mean, median"):
        estimate_sigmas(np.ones((2, 1)), np.arange(2), "mode")
