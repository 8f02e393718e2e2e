"""Choice of images that are informative each, and unlike each other and those that are labelled.

Letters: N candidates, M labelled images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np

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
    """Choose candidates one after another by greedy weighted k-centre.

    The next one has the greatest product of its weight and its distance from the nearest image that
    is labelled or chosen already.

    Args:
        features: (N, D).
        weights: (N,) above 0.
        labelled: (M, D), M may be 0.
        count: Number to choose; fewer where no more are left.
        similar: For a candidate those that are nearly the same; once it is chosen they are not.
        excluded: Candidates that are not to be chosen.

    Returns:
        Indices, the first choice first.

    Source: Sener & Savarese, 2018, https://arxiv.org/abs/1708.00489 (k-centre, without weights).
    """
    open_ = np.ones(len(features), bool)
    open_[list(excluded)] = False
    distance = np.full(len(features), np.inf)
    if len(labelled):
        distance = _distances(features, labelled).min(axis=1)
    chosen: list[int] = []
    while len(chosen) < count and open_.any():
        # of the first one without labelled images there is no distance: the heaviest
        gain = weights * np.where(np.isfinite(distance), distance, 1.0)
        best = int(np.argmax(np.where(open_, gain, -np.inf)))
        chosen.append(best)
        open_[[best, *(similar or {}).get(best, ())]] = False
        distance = np.minimum(distance, _distances(features, features[best : best + 1])[:, 0])
    return chosen


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, M) of features (N, D) and (M, D)."""
    squared = (
        np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1) - 2 * first @ second.T
    )
    return np.sqrt(np.maximum(squared, 0))
