"""Intervals by the bootstrap: whole clusters are drawn with replacement.

Instances of one image, horse or video are alike, so drawing them one by one gives intervals that
are too narrow. Each cluster comes or goes with all that it holds.

Source: Efron and Tibshirani, 1993, An Introduction to the Bootstrap, chapters 8 and 13 (the
percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

RESAMPLES = 1000
DRAWN_AT_ONCE = 50


def cluster_numbers(names: Sequence[str]) -> np.ndarray:
    """(N,) number of each item's cluster, from 0 to G − 1."""
    return np.unique(np.asarray(names, str), return_inverse=True)[1].reshape(-1)


def bootstrap_weights(num_clusters: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw the weights of G clusters in R bootstrap samples, (R, G); rows add up to G.

    Raises:
        ValueError: There is to be no sample.
    """
    if resamples < 1:
        raise ValueError(f"expected one bootstrap sample or more, such as 1000, got {resamples}")
    rng = np.random.default_rng(seed)
    return rng.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), size=resamples)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    clusters: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Compute a statistic (R, …) of every bootstrap sample.

    Args:
        statistic: From weights (B, N), how often each item is in each of B samples, to (B, …).
        clusters: (N,) of :func:`cluster_numbers`.
        resamples: R.
        seed: Of the draws.

    >>> errors_px = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> horses = cluster_numbers(["bella", "bella", "fleur", "gem"])
    >>> means = bootstrap(lambda weights: weighted_mean(errors_px, weights), horses)
    >>> [each.round(1) for each in percentile_interval(means)]
    [array([1.5]), array([4.])]
    """
    draws = bootstrap_weights(int(clusters.max()) + 1, resamples, seed)
    starts = range(0, resamples, DRAWN_AT_ONCE)
    blocks = tqdm(starts, desc="bootstrap", unit="block", delay=5, disable=None)
    return np.concatenate(
        [statistic(draws[start : start + DRAWN_AT_ONCE][:, clusters]) for start in blocks]
    )


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end, (…), of the percentile interval of (R, …) bootstrap values.

    NaN, from samples without a single item, is left out; where nothing else is, both ends are NaN.
    """
    tail = 50 * (1 - level)
    nowhere = np.isnan(values).all(axis=0)
    low, high = np.nanpercentile(np.where(nowhere, 0, values), (tail, 100 - tail), axis=0)
    return np.where(nowhere, np.nan, low), np.where(nowhere, np.nan, high)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, K) means of (N, K) values with weights (B, N); NaN is left out."""
    there = np.isfinite(values)
    sums, counts = weights @ np.where(there, values, 0.0), weights @ there
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B, K) medians of (N, K) values, each as often as the whole numbers ``weights`` (B, N) say.

    NaN is left out. As ``numpy.median``, the mean of the middle two where their number is even.

    >>> weighted_median(np.array([[1.0], [2.0], [9.0]]), np.array([[1, 1, 1], [0, 1, 3]]))
    array([[2.],
           [9.]])
    """
    medians = np.full((len(weights), values.shape[1]), np.nan)
    for column, each in enumerate(values.T):
        order = np.argsort(each)[: np.isfinite(each).sum()]
        if not len(order):
            continue
        upto = np.cumsum(weights[:, order], axis=1)
        total = upto[:, -1:]
        lower = (2 * upto >= total).argmax(axis=1)
        upper = (2 * upto > total).argmax(axis=1)
        middle = (each[order][lower] + each[order][upper]) / 2
        medians[:, column] = np.where(total[:, 0] > 0, middle, np.nan)
    return medians
