"""Store the features of training images, and find the limit that held-out images keep.

Letters: N training images, M held-out ones, D features.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from equikpt.evaluation.functional.conformal import conformal_quantile
from equikpt.structures.training_features import NEIGHBOURS, TrainingFeatures, project, unit

MAX_DIRECTIONS = 64
MAX_STORED = 500
"""Training images that are stored, drawn at random of more."""
LEVEL = 0.99
"""Probability with which an image like the held-out ones is not refused, if there are enough."""


def fit_training_features(
    features: np.ndarray, held_out: np.ndarray, images: np.ndarray, source: str = ""
) -> TrainingFeatures:
    """Store the features of training images, with the limit of others.

    Args:
        features: (N, D) of images that the model was trained on.
        held_out: (M, D) of images that it was not trained on and that are like its own.
        images: (M,) number or name of the image that each of them is a part of.
        source: The held-out images, in words.

    Raises:
        ValueError: Too few training images, no held-out one, or features that are no numbers.
    """
    features, held_out = (np.asarray(each, np.float32) for each in (features, held_out))
    if len(features) <= NEIGHBOURS or not len(held_out):
        raise ValueError(
            f"expected at least {NEIGHBOURS + 1} training images and a held-out one, got "
            f"{len(features)} and {len(held_out)}; label more"
        )
    if not (np.isfinite(features).all() and np.isfinite(held_out).all()):
        raise ValueError(
            "expected features that are numbers, got NaN or infinity; the weights have diverged"
        )
    lengths_1 = unit(features)
    mean = lengths_1.mean(axis=0)
    _, _, directions = np.linalg.svd(lengths_1 - mean, full_matrices=False)
    directions = _half(directions[: min(MAX_DIRECTIONS, len(features) - 1)])
    chosen = np.random.default_rng(0).permutation(len(features))[:MAX_STORED]
    positions, rests = project(features[chosen], mean, directions)
    bare = TrainingFeatures(
        mean, directions, _half(positions), rests, typical=1.0, limit=np.inf, level=1.0
    )
    distances = bare.distances(held_out)
    typical = max(float(np.median(distances)), np.finfo(np.float32).tiny)
    limit, level = novelty_limit(distances / typical, images)
    return replace(bare, typical=typical, limit=limit, level=level, source=source)


def novelty_limit(
    novelty: np.ndarray, images: np.ndarray, level: float = LEVEL
) -> tuple[float, float]:
    """Find the conformal limit that a further image keeps with probability ``level``.

    Of fewer than 99 images the largest novelty is the limit, and the level n / (n + 1): no limit
    that fewer images support would refuse less. Taking their logarithms as normal instead promised
    0.99 from 18 images, but let through 7 of 10 people that came before a model of horses.

    Args:
        novelty: (M,) of held-out images.
        images: (M,) number or name of the image that each of them is a part of.
        level: Above 0 and below 1.

    Returns:
        Limit, and the level that it is for.

    >>> novelty_limit(np.arange(1.0, 20.0), np.arange(19))
    (19.0, 0.95)
    """
    count = len(np.unique(images))
    level = min(level, count / (count + 1))
    return float(conformal_quantile(novelty, images, level)), level


def _half(table: np.ndarray) -> np.ndarray:
    """Round to what a checkpoint keeps, so that limit and use agree."""
    return table.astype(np.float16).astype(np.float32)
