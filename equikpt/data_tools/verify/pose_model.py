"""Poses of a set: a robust mixture of low-rank Gaussians over incomplete poses.

Each component is a factor analysis with missing entries (Rubin & Thayer, 1982, "EM algorithms for
ML factor analysis"; Ghahramani & Hinton, 1996, for the mixture), which stays cheap: with R factors,
all that depends on a pose are R × R matrices. Poses far from every component are weighed down as
under a t distribution (Peel & McLachlan, 2000), so that the mistakes that are looked for do not
shape the model. Beside its coords, each keypoint has a probability of being labelled and of being
seen: the side turned away from the camera is what annotators leave out.

Poses are (N, K, 3) arrays of x, y and visibility 0, 1 or 2, without their position and size (see
:func:`normalised`). Letters: N poses, K keypoints, D = 2K coordinates, C components, R factors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

FACTORS = 10
COMPONENTS = 4
"""An even number: half of them start as the mirror images of the others."""
ITERATIONS = 20
FREEDOM = 8.0
"""Degrees of freedom of the t distribution: smaller is more robust."""
PRIOR_POSES = 8.0
"""Number of poses that the priors of spread and visibility count as."""
START_VARIANCE = 0.1
PRIOR_SPREAD = 0.1
"""Standard deviation of the prior, in units of a pose's root mean square radius."""


def normalised(xy: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Move poses (N, K, 2) in px to mean 0 and scale them to root mean square radius 1.

    Returns:
        (N, K, 3) coords, 0 where not labelled, and visibility.
    """
    labelled = (visibility > 0)[..., None]
    count = np.maximum(labelled.sum(axis=1, keepdims=True), 1)
    centred = np.where(labelled, xy - (xy * labelled).sum(axis=1, keepdims=True) / count, 0)
    radius = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True) / count)
    return np.dstack([centred / np.maximum(radius, 1e-9), visibility])


def mirrored(poses: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Poses in a mirror: left and right exchanged, and their names as well; ``swap`` is (K,)."""
    return poses[:, swap] * (-1, 1, 1)


class _Component(NamedTuple):
    mean: np.ndarray  # (D,)
    factors: np.ndarray  # (D, R)
    variance: np.ndarray  # (D,)
    visible: np.ndarray  # (K, 3) probability of visibility 0, 1, 2
    prior: float

    def mirrored(self, swap: np.ndarray) -> _Component:
        flip = np.tile([-1.0, 1.0], len(swap))
        order = (2 * swap[:, None] + (0, 1)).ravel()
        return _Component(
            (self.mean * flip)[order],
            (self.factors * flip[:, None])[order],
            self.variance[order],
            self.visible[swap],
            self.prior,
        )


class _Posterior(NamedTuple):
    """Factors and likelihood of each pose under one component."""

    factors: np.ndarray  # (N, R)
    spread: np.ndarray  # (N, R, R)
    weight: np.ndarray  # (N,) of the t distribution
    log_joint: np.ndarray  # (N,)


class _Data(NamedTuple):
    """Poses as the model reads them."""

    values: np.ndarray  # (N, D) coordinates
    mask: np.ndarray  # (N, D) 1 where labelled, else 0
    levels: np.ndarray  # (N, K, 3) visibility, one-hot

    @classmethod
    def of(cls, poses: np.ndarray) -> _Data:
        mask = np.repeat(poses[..., 2] > 0, 2, axis=1).astype(float)
        levels = (poses[..., 2:] == np.arange(3)).astype(float)
        return cls(poses[..., :2].reshape(len(poses), -1) * mask, mask, levels)


class PoseModel:
    """The mixture, fitted at once.

    Args:
        poses: (N, K, 3) to fit it to.
        swap: (K,) index of the same point on the other side. The mirrored poses are fitted as
            well: what faces left might as well face right.
        seed: Of the start.
    """

    def __init__(self, poses: np.ndarray, swap: np.ndarray, seed: int = 0) -> None:
        data = _Data.of(np.concatenate([poses, mirrored(poses, swap)]))
        start = _start(data, np.random.default_rng(seed))
        # poses and start are mirror images of themselves, and so is what fitting makes of them
        self._components = [*start, *(part.mirrored(swap) for part in start)]
        for _ in range(ITERATIONS):
            parts = [_posterior(data, part) for part in self._components]
            log_joint = np.stack([part.log_joint for part in parts], axis=1)
            belongs = np.exp(log_joint - _log_sum(log_joint)[:, None])
            self._components = [
                _refit(data, belongs[:, index], part) for index, part in enumerate(parts)
            ]

    def log_likelihood(self, poses: np.ndarray, coords_only: bool = False) -> np.ndarray:
        """(N,) natural logarithm of each pose's likelihood.

        Args:
            poses: (N, K, 3).
            coords_only: Leave out how likely the visibilities are.
        """
        data = _Data.of(poses)
        parts = [_posterior(data, part, coords_only).log_joint for part in self._components]
        return _log_sum(np.stack(parts, axis=1))

    def log_likelihood_of_points(self, poses: np.ndarray) -> np.ndarray:
        """(N, K) log-density of each labelled point's coords given the other points, else 0."""
        whole = self.log_likelihood(poses, coords_only=True)
        given_others = np.zeros(poses.shape[:2])
        for point in range(poses.shape[1]):
            rows = np.flatnonzero(poses[:, point, 2] > 0)
            if len(rows):
                without = poses[rows]
                without[:, point, 2] = 0
                rest = self.log_likelihood(without, coords_only=True)
                given_others[rows, point] = whole[rows] - rest
        return given_others


def _log_sum(log_joint: np.ndarray) -> np.ndarray:
    largest = log_joint.max(axis=1)
    return largest + np.log(np.exp(log_joint - largest[:, None]).sum(axis=1))


def _posterior(data: _Data, part: _Component, coords_only: bool = False) -> _Posterior:
    rank = part.factors.shape[1]
    centred = (data.values - part.mean) * data.mask
    outer = (part.factors[:, :, None] * part.factors[:, None, :]).reshape(len(part.mean), -1)
    precision = np.eye(rank) + ((data.mask / part.variance) @ outer).reshape(-1, rank, rank)
    spread = np.linalg.inv(precision)
    pull = (centred / part.variance) @ part.factors
    factors = np.einsum("nij,nj->ni", spread, pull)
    distance = (centred**2 / part.variance).sum(axis=1) - (pull * factors).sum(axis=1)
    log_volume = (data.mask * np.log(part.variance)).sum(axis=1) - np.linalg.slogdet(spread)[1]
    count = data.mask.sum(axis=1)
    half = (FREEDOM + count) / 2
    log_coords = (
        gammaln(half)
        - math.lgamma(FREEDOM / 2)
        - 0.5 * (count * math.log(FREEDOM * math.pi) + log_volume)
        - half * np.log1p(distance / FREEDOM)
    )
    log_joint = log_coords + math.log(part.prior)
    if not coords_only:
        log_joint = log_joint + np.einsum("nkv,kv->n", data.levels, np.log(part.visible))
    return _Posterior(factors, spread, (FREEDOM + count) / (FREEDOM + distance), log_joint)


def _refit(data: _Data, belongs: np.ndarray, part: _Posterior) -> _Component:
    """The component that explains best what belongs to it."""
    count, rank = part.factors.shape
    # each coordinate is regressed on the factors and a constant, over the poses that have it
    known = np.concatenate([part.factors, np.ones((count, 1))], axis=1)
    second = known[:, :, None] * known[:, None, :]
    # under the t distribution the posterior spread is divided by the weight
    second[:, :rank, :rank] += part.spread / part.weight[:, None, None]
    weighed = data.mask * (belongs * part.weight)[:, None]
    gram = (weighed.T @ second.reshape(count, -1)).reshape(-1, rank + 1, rank + 1)
    target = (weighed * data.values).T @ known
    ridge = np.diag([1.0] * rank + [1e-6])
    solved = np.linalg.solve(gram + ridge, target[..., None])[..., 0]
    rest = (weighed * data.values**2).sum(axis=0) - (solved * target).sum(axis=1)
    labelled = (data.mask * belongs[:, None]).sum(axis=0)
    variance = (rest + PRIOR_POSES * PRIOR_SPREAD**2) / (labelled + PRIOR_POSES)
    seen = np.einsum("n,nkv->kv", belongs, data.levels)
    visible = (seen + PRIOR_POSES * _usual(data.levels)) / (belongs.sum() + PRIOR_POSES)
    prior = (belongs.sum() + 1) / (count + COMPONENTS)
    factors, mean = solved[:, :rank], solved[:, rank]
    return _Component(mean, factors, np.maximum(variance, 1e-4), visible, prior)


def _start(data: _Data, rng: np.random.Generator) -> list[_Component]:
    """Components around poses that are far from each other, with random small factors.

    The second half of the poses is the mirror image of the first.
    """
    values, mask = data.values, data.mask
    count, size = values.shape
    complete = np.argsort(-mask[: count // 2].sum(axis=1), kind="stable")
    complete = complete[: max(COMPONENTS, count // 8)]
    chosen = [int(complete[0])]
    nearest = np.full(count, np.inf)
    while len(chosen) < COMPONENTS // 2:
        for known in (chosen[-1], chosen[-1] + count // 2):
            both = mask * mask[known]
            gap = ((values - values[known]) ** 2 * both).sum(axis=1)
            nearest = np.minimum(nearest, gap / np.maximum(both.sum(axis=1), 1))
        # not the farthest, which may be an outlier
        order = complete[np.argsort(nearest[complete])]
        chosen.append(int(order[int(0.8 * (len(order) - 1))]))
    mean = values.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return [
        _Component(
            np.where(mask[index] > 0, values[index], mean),
            rng.normal(0, 0.1, (size, FACTORS)),
            np.full(size, START_VARIANCE),
            _usual(data.levels),
            1 / COMPONENTS,
        )
        for index in chosen
    ]


def _usual(levels: np.ndarray) -> np.ndarray:
    """(K, 3) fraction of each visibility, never quite 0."""
    return (levels.mean(axis=0) + 0.02) / 1.06
