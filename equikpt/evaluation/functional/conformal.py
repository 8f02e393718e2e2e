"""Split-conformal quantiles: limits of errors that hold in a given fraction of cases.

Held-out errors, each divided by what a model expects of it, are ranked; the quantile of their
ratios, corrected for their finite number, times the expectation is a limit that a further error
keeps with at least the wanted probability, whatever the model, as long as it is drawn like the
held-out ones. Frames of one video are not drawn like those of others, so whole clusters count.

Sources: Vovk et al., 2005, Algorithmic Learning in a Random World; Lee, Barber and Willett, 2023,
Distribution-free inference with hierarchical data (https://arxiv.org/abs/2306.06342).
"""

from __future__ import annotations

import numpy as np


def conformal_quantile(
    ratios: np.ndarray, clusters: np.ndarray, level: float | np.ndarray
) -> np.ndarray:
    """Find the limit that a ratio of a further cluster keeps with probability ``level``.

    Of C clusters and a further one each has the same weight, C + 1 in all, spread over its ratios;
    the further one's may be anything, so they count as infinite. With one ratio a cluster this is
    the ⌈(N + 1) · level⌉-th smallest of N ratios.

    Args:
        ratios: (N,) errors over what was expected of them, at least 0.
        clusters: (N,) number or name of each one's cluster: image, animal or video.
        level: Probabilities (…), above 0 and below 1.

    Returns:
        (…) limits; infinity with fewer clusters than ⌈level / (1 − level)⌉, 9 for 0.9.

    Raises:
        ValueError: ``level`` is out of range, or the arrays differ in length.

    >>> ratios = np.arange(1.0, 20.0)
    >>> conformal_quantile(ratios, np.arange(19), level=np.array([0.5, 0.9, 0.99]))
    array([10., 18., inf])
    """
    level = np.asarray(level, float)
    if not ((level > 0) & (level < 1)).all():
        raise ValueError(f"expected a level above 0 and below 1, such as 0.9, got {level}")
    ratios, clusters = np.asarray(ratios, float), np.asarray(clusters)
    if ratios.shape != clusters.shape:
        raise ValueError(
            f"expected as many clusters as ratios, got {clusters.shape} and {ratios.shape}"
        )
    _, number, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    weights = 1 / ((len(sizes) + 1) * sizes[number])
    order = np.argsort(ratios, kind="stable")
    reached = np.cumsum(weights[order])
    limits = np.append(ratios[order], np.inf)
    return limits[np.searchsorted(reached, level - 1e-9)]


def coverage(errors: np.ndarray, radii: np.ndarray) -> float:
    """Compute the fraction of errors within their radii, both (N,); NaN is left out."""
    known = np.isfinite(errors)
    return float(np.mean(errors[known] <= np.asarray(radii)[known])) if known.any() else np.nan


def halves(clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks (N,) of two halves of the clusters, numbers (N,) from 0 on, dealt at random."""
    shuffled = np.random.default_rng(0).permutation(clusters.max() + 1)
    half = shuffled[clusters] % 2 == 0
    return half, ~half
