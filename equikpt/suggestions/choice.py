"""Choice of images that are informative, stand for many others, and are not labelled yet.

Letters: N candidates, M labelled images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

MAX_COVERED = 4000
"""Candidates, drawn at random where there are more, whose cover counts."""
FLOOR = 0.25
"""Weight of the least informative candidate; that of the most informative one is 1."""


def ranks(values: np.ndarray) -> np.ndarray:
    """Fraction (N,) of the values (N,) that are smaller than each, 0 to 1; NaN counts as lowest."""
    values = np.nan_to_num(np.asarray(values, float), nan=-np.inf)
    return np.searchsorted(np.sort(values), values) / max(len(values) - 1, 1)


def informativeness(criteria: Mapping[str, np.ndarray]) -> np.ndarray:
    """Weigh candidates (N,), :data:`FLOOR` to 1, by their mean rank over criteria (N,).

    Ranks have no unit, so that a criterion counts the same whatever its scale. Criteria that are
    the same for all tell nothing and do not count.
    """
    told = [ranks(values) for values in criteria.values() if np.ptp(values) > 0]
    count = len(next(iter(criteria.values())))
    return FLOOR + (1 - FLOOR) * np.mean(told, axis=0) if told else np.ones(count)


def choose(
    features: np.ndarray,
    weights: np.ndarray,
    labelled: np.ndarray,
    count: int,
    similar: Mapping[int, Set[int]] | None = None,
    excluded: Set[int] = frozenset(),
) -> list[int]:
    """Choose informative candidates that stand for many others, one after another.

    Greedy facility location: each candidate is covered as far as its most similar image that is
    labelled or chosen already is similar to it. The next choice has the greatest product of its
    weight and of what it adds to the cover of the candidates, by their weights. An odd one out
    covers nothing but itself, and comes late.

    Args:
        features: (N, D).
        weights: (N,) above 0.
        labelled: (M, D), M may be 0.
        count: Number to choose; fewer where no more are left.
        similar: For a candidate those that are nearly the same; once it is chosen they are not.
        excluded: Candidates that are not to be chosen.

    Returns:
        Indices, the first choice first.

    Source: Wei et al., 2015, http://proceedings.mlr.press/v37/wei15.html (without weights).
    """
    rng = np.random.default_rng(0)
    asked = np.sort(rng.permutation(len(features))[:MAX_COVERED])  # of a long video not all
    apart = _distances(features[asked], features)
    usual = max(float(np.median(apart)), np.finfo(np.float32).tiny)
    likeness = np.maximum(1 - apart / usual, 0)  # (asked, N)
    cover = np.zeros(len(asked))
    if len(labelled):
        nearest = _distances(features[asked], labelled).min(axis=1)
        cover = np.maximum(1 - nearest / usual, 0)
    free = np.ones(len(features), bool)
    free[list(excluded)] = False
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        gain = weights[asked] @ np.maximum(likeness - cover[:, None], 0)
        # where all is covered the weight decides
        best = int(np.argmax(np.where(free, weights * (gain + 1e-6), -np.inf)))
        chosen.append(best)
        free[[best, *(similar or {}).get(best, ())]] = False
        cover = np.maximum(cover, likeness[:, best])
    return chosen


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M) of features (N, D) and (M, D)."""
    squared = (
        np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2 * first @ second.T
    )
    return np.sqrt(np.maximum(squared, 0))
