import numpy as np
import pytest
from scipy import stats

from equikpt.evaluation.functional.bootstrap import (
    bootstrap,
    bootstrap_weights,
    cluster_numbers,
    percentile_interval,
    weighted_mean,
    weighted_median,
)


def test_clusters_are_numbered_from_zero():
    assert cluster_numbers(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_draws_are_with_replacement_and_seeded():
    draws = bootstrap_weights(20, 4000, seed=1)
    assert (draws.sum(axis=1) == 20).all()
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.1)
    # the chance that a cluster is left out of a sample
    assert (draws == 0).mean() == pytest.approx((1 - 1 / 20) ** 20, abs=0.01)
    np.testing.assert_array_equal(draws, bootstrap_weights(20, 4000, seed=1))
    assert (draws != bootstrap_weights(20, 4000, seed=2)).any()
    with pytest.raises(ValueError, match="one bootstrap sample or more"):
        bootstrap_weights(5, 0)


def some_values() -> np.ndarray:
    """(31, 4), a third of it NaN, the last column all of it."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(31, 4)).round(1)  # rounded, so that some are equal
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 3] = np.nan
    return values


@pytest.mark.parametrize(
    ("weighted", "plain"), [(weighted_mean, np.mean), (weighted_median, np.median)]
)
def test_weights_are_repetitions(weighted, plain):
    values, rng = some_values(), np.random.default_rng(1)
    weights = rng.integers(0, 4, (50, 31))
    weights[0] = 1
    weights[1] = 0
    found = weighted(values, weights)
    for row, times in zip(found, weights, strict=True):
        for column in range(4):
            repeated = np.repeat(values[:, column], times)
            repeated = repeated[np.isfinite(repeated)]
            expected = plain(repeated) if len(repeated) else np.nan
            assert row[column] == pytest.approx(expected, nan_ok=True)


def test_without_clusters_the_interval_is_scipys():
    values = np.random.default_rng(2).gamma(2, size=(60, 1))
    ours = percentile_interval(
        bootstrap(lambda w: weighted_mean(values, w), np.arange(60), 20_000, seed=0)
    )
    theirs = stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=20_000, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose([float(end[0]) for end in ours], theirs, atol=0.03)


def covered(clusters_are_known: bool) -> float:
    """Fraction of 400 intervals that hold the mean 0 of 40 clusters of 5 that are alike."""
    rng, hits = np.random.default_rng(3), 0
    of_item = np.repeat(np.arange(40), 5)
    for _ in range(400):
        values = (rng.normal(size=40)[of_item] + rng.normal(0, 0.3, 200))[:, None]
        clusters = of_item if clusters_are_known else np.arange(200)
        low, high = percentile_interval(
            bootstrap(lambda w, v=values: weighted_mean(v, w), clusters, 200)
        )
        hits += bool(low[0] <= 0 <= high[0])
    return hits / 400


def test_intervals_hold_the_gt_as_often_as_they_say():
    assert 0.9 <= covered(clusters_are_known=True) <= 0.98
    assert covered(clusters_are_known=False) < 0.75  # the control: too narrow


def test_samples_without_an_item_are_left_out_of_the_interval():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = percentile_interval(values)
    assert 1 <= low[0] < high[0] <= 3
    assert np.isnan([low[1], high[1]]).all()
