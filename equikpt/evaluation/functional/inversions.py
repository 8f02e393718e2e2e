"""Left–right inversions by the side from which an animal is seen.

Letters: N instances, K keypoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from equikpt.evaluation.functional.bootstrap import bootstrap, percentile_interval
from equikpt.metainfo.sides import side_of

VIEWS = ("side", "front", "rear", "other")
"""Views of :func:`views_of`, in the order of the table."""
EVERY_VIEW = "all"
MIN_PAIRS = 2
"""Pairs labelled on both sides from which a view is told."""
MIN_SPREAD = 0.2
"""Mean distance from right to left from which an animal is not seen from the side, as a fraction of
its width (or, up and down, its height) in the image."""


def left_right_pairs(names: Sequence[str], swap: Sequence[int]) -> np.ndarray:
    """Indices (P, 2) of left and right of each pair; the first is left where names do not say.

    >>> left_right_pairs(["r_eye", "l_eye", "nose", "a", "b"], [1, 0, 2, 4, 3]).tolist()
    [[1, 0], [3, 4]]
    """
    pairs = [(first, second) for first, second in enumerate(swap) if first < second]
    sides = [(side_of(names[first]), side_of(names[second])) for first, second in pairs]
    ordered = [
        pair[::-1] if side == ("right", "left") else pair
        for pair, side in zip(pairs, sides, strict=True)
    ]
    return np.asarray(ordered, int).reshape(-1, 2)


def views_of(gt: np.ndarray, visibility: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Tell the side from which each animal is seen, from its labelled pose.

    The mean of left minus right over the pairs that are labelled on both sides (legs of one stride
    cancel out) is taken as a fraction of the extent of all labelled points, across by the width and
    down by the height. Up to ``MIN_SPREAD`` either way left and right lie behind each other:
    ``side``. Else it is ``front`` where left lies to the right in the image and ``rear`` where it
    lies to the left, half turned ones with them, and ``other`` where they lie above each other, as
    seen from above or on an animal that lies down. Below ``MIN_PAIRS`` such pairs it is ``other``.

    Args:
        gt: (N, K, 2) px.
        visibility: (N, K) COCO visibility.
        pairs: (P, 2) left and right, of :func:`left_right_pairs`.

    Returns:
        (N,) of ``VIEWS``.

    >>> facing_us = np.array([[[60.0, 10.0], [40.0, 10.0], [65.0, 90.0], [35.0, 90.0]]])
    >>> pairs, seen = np.array([[0, 1], [2, 3]]), np.full((1, 4), 2)
    >>> [str(views_of(pose, seen, pairs)[0]) for pose in (facing_us, facing_us[:, [1, 0, 3, 2]])]
    ['front', 'rear']
    """
    labelled = np.greater(visibility, 0)
    both = labelled[:, pairs].all(axis=2)
    gap = gt[:, pairs[:, 0]] - gt[:, pairs[:, 1]]
    mean = np.where(both[..., None], gap, 0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)[:, None]
    low = np.where(labelled[..., None], gt, np.inf).min(axis=1)
    high = np.where(labelled[..., None], gt, -np.inf).max(axis=1)
    across, down = (mean / np.where(high > low, high - low, 1)).T
    names = np.where(across > 0, "front", "rear")
    names = np.where(np.abs(down) > np.abs(across), "other", names)
    names = np.where(np.maximum(np.abs(across), np.abs(down)) <= MIN_SPREAD, "side", names)
    return np.where(both.sum(axis=1) >= MIN_PAIRS, names, "other")


def inversion_table(
    inverted: np.ndarray,
    views: np.ndarray,
    clusters: np.ndarray,
    resamples: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Rate of left–right inversions over all instances and by view, a row each.

    Args:
        inverted: (N, K) 1, 0, or NaN where it cannot be told, of
            :func:`~equikpt.evaluation.functional.keypoint_errors.left_right_inversions`.
        views: (N,) of :func:`views_of`.
        clusters: (N,) from 0 on; the bootstrap draws them as a whole.
        resamples: Bootstrap samples for 95 % intervals; 0 leaves them out.
        seed: Of the bootstrap.

    Returns:
        Columns ``view``, ``instances`` and ``points`` (with both sides labelled), ``inverted``
        (number), ``rate`` and, with ``resamples``, ``rate_low`` and ``rate_high``, NaN where all
        instances are one cluster. Views without a point have no row, and a single view is no other
        row than ``all``.
    """
    told = np.isfinite(inverted).any(axis=1)
    parts = {view: told & (views == view) for view in VIEWS if (told & (views == view)).any()}
    rows = []
    for view, chosen in {EVERY_VIEW: told, **(parts if len(parts) > 1 else {})}.items():
        some = inverted[chosen]
        if not len(some):
            continue
        row = dict(
            view=view,
            instances=len(some),
            points=int(np.isfinite(some).sum()),
            inverted=int(np.nansum(some)),
            rate=float(np.nanmean(some)),
        )
        if resamples:
            row |= _interval(some, clusters[chosen], resamples, seed)
        rows.append(row)
    columns = ["view", "instances", "points", "inverted", "rate"]
    columns += ["rate_low", "rate_high"] if resamples else []
    return pd.DataFrame(rows, columns=columns)


def _interval(
    inverted: np.ndarray, clusters: np.ndarray, resamples: int, seed: int
) -> dict[str, float]:
    """Ends of the interval of the rate of some instances."""
    clusters = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    if clusters.max() == 0:  # of one cluster it is not known how clusters differ
        return dict(rate_low=np.nan, rate_high=np.nan)
    low, high = percentile_interval(
        bootstrap(lambda weights: _rates(inverted, weights), clusters, resamples, seed)
    )
    return dict(rate_low=float(low), rate_high=float(high))


def _rates(inverted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) rates over all points with weights (B, N) of the instances; NaN without a point."""
    counts = weights @ np.isfinite(inverted).sum(axis=1)
    hits = weights @ np.nansum(inverted, axis=1)
    return np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
