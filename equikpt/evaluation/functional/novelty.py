"""Fit the mean and covariance of training features, and the limit that held-out images keep.

Letters: N training images, M held-out ones, D features.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from equikpt.evaluation.functional.conformal import clusters_needed, conformal_quantile
from equikpt.structures.training_features import TrainingFeatures

DIRECTIONS = 64
"""Greatest number of directions with a variance of their own."""
IMAGES_A_DIRECTION = 4
"""Training images that each of them takes at least."""
LEVEL = 0.99
"""Probability with which an image like the held-out ones is not refused."""
FLOOR = 1e-3
"""Smallest deviation of a feature, as a fraction of the root mean square of all."""


def fit_training_features(
    features: np.ndarray, held_out: np.ndarray, images: np.ndarray, source: str = ""
) -> TrainingFeatures:
    """Fit mean and covariance to the features of training images, and the limit to others.

    Args:
        features: (N, D) of images that the model was trained on.
        held_out: (M, D) of images that it was not trained on and that are like its own.
        images: (M,) number or name of the image that each of them is a part of.
        source: The held-out images, in words.

    Raises:
        ValueError: Fewer than 5 training images, no held-out one, or features that are no numbers.
    """
    features, held_out = (np.asarray(each, np.float64) for each in (features, held_out))
    if len(features) <= IMAGES_A_DIRECTION or not len(held_out):
        raise ValueError(
            f"expected at least {IMAGES_A_DIRECTION + 1} training images and one other, got "
            f"{len(features)} and {len(held_out)}; label more"
        )
    if not (np.isfinite(features).all() and np.isfinite(held_out).all()):
        raise ValueError("expected finite features, got NaN or infinity; the weights have diverged")
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = scale + FLOOR * np.sqrt(np.square(scale).mean()) + np.finfo(np.float32).tiny
    _, singular, directions = np.linalg.svd((features - mean) / scale, full_matrices=False)
    variances = np.square(singular) / (len(features) - 1)
    count = min(DIRECTIONS, len(features) // IMAGES_A_DIRECTION, features.shape[1] - 1)
    rest = variances[count:].sum() / (features.shape[1] - count)
    fitted = dict(
        mean=mean.astype(np.float32),
        scale=scale.astype(np.float32),
        directions=directions[:count].astype(np.float16).astype(np.float32),
        variances=np.maximum(variances[:count], 1e-6).astype(np.float32),
        rest=float(max(rest, 1e-6)),
    )
    bare = TrainingFeatures(**fitted, typical=1.0, limit=np.inf, level=LEVEL)
    typical = float(np.mean(bare.distances(features)))
    limit, level = novelty_limit(bare.distances(held_out) / typical, images)
    return TrainingFeatures(**fitted, typical=typical, limit=limit, level=level, source=source)


def novelty_limit(
    novelty: np.ndarray, images: np.ndarray, level: float = LEVEL
) -> tuple[float, float]:
    """Find the limit that a further image keeps with probability ``level``.

    With 99 held-out images it is the conformal quantile, which needs no assumption. Fewer say
    nothing of one in a hundred: then their logarithms, of each image the largest, are taken as
    normally distributed, and the limit is at least the largest of them.

    Args:
        novelty: (M,) of held-out images, above 0.
        images: (M,) number or name of the image that each of them is a part of.
        level: Above 0 and below 1.

    Returns:
        Limit, and the level that it is for; of one image alone the limit is infinite.

    Source of the prediction limit: Hahn, 1969, https://doi.org/10.1080/00224065.1969.11980376
    """
    names, number = np.unique(images, return_inverse=True)
    if len(names) >= clusters_needed(level):
        return float(conformal_quantile(novelty, images, level)), level
    largest = np.full(len(names), -np.inf)
    np.maximum.at(largest, number, np.log(novelty))
    if len(names) < 2:
        return float("inf"), level
    beyond = stats.t.ppf(level, len(names) - 1) * np.sqrt(1 + 1 / len(names))
    limit = largest.mean() + beyond * largest.std(ddof=1)
    return float(np.exp(max(limit, largest.max()))), level
