"""Poses of a set: a robust mixture of low-rank Gaussians over incomplete poses.

Each component is a factor analysis with missing entries (Rubin & Thayer, 1982, "EM algorithms for
ML factor analysis"; Ghahramani & Hinton, 1996, for the mixture), which stays cheap: with R factors,
all that depends on a pose are R × R matrices. Poses far from every component are weighed down as
under a t distribution (Peel & McLachlan, 2000), so that the mistakes that are looked for do not
shape the model. Beside its coords, each keypoint has a probability of being labelled and of being
seen: the side turned away from the camera is what annotators leave out.

Shapes: N poses, K keypoints, D = 2K coordinates, C components, R factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Poses:
    """Poses without their position and size.

    Args:
        xy: (N, K, 2) coordinates, 0 where not labelled; the labelled points of a pose have mean 0
            and root mean square radius 1.
        visibility: (N, K) 0, 1 or 2.
    """

    xy: np.ndarray
    visibility: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, rows: np.ndarray | slice) -> Poses:
        return Poses(self.xy[rows], self.visibility[rows])

    def renamed(self, order: np.ndarray) -> Poses:
        """The same points under other names; ``order`` (K,) is where each name's point is."""
        return Poses(self.xy[:, order], self.visibility[:, order])

    def mirrored(self, swap: np.ndarray) -> Poses:
        """The poses in a mirror: left and right exchanged, and their names as well."""
        return Poses(self.xy * (-1, 1), self.visibility).renamed(swap)

    def joined(self, others: Poses) -> Poses:
        """These and the others."""
        return Poses(
            np.concatenate([self.xy, others.xy]),
            np.concatenate([self.visibility, others.visibility]),
        )


def normalised(xy: np.ndarray, visibility: np.ndarray) -> Poses:
    """Poses (N, K, 2) in px moved to mean 0 and scaled to radius 1 over their labelled points."""
    labelled = (visibility > 0)[..., None]
    count = np.maximum(labelled.sum(axis=1, keepdims=True), 1)
    centred = np.where(labelled, xy - (xy * labelled).sum(axis=1, keepdims=True) / count, 0)
    radius = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True) / count)
    return Poses(centred / np.maximum(radius, 1e-9), visibility)


@dataclass
class _Component:
    mean: np.ndarray  # (D,)
    factors: np.ndarray  # (D, R)
    variance: np.ndarray  # (D,)
    visible: np.ndarray  # (K, 3) probability of visibility 0, 1, 2
    share: float

    def mirrored(self, swap: np.ndarray) -> _Component:
        """The component of poses in a mirror; see :meth:`Poses.mirrored`."""
        size = len(self.mean)
        flip = np.tile([-1.0, 1.0], size // 2)
        order = (2 * swap[:, None] + (0, 1)).ravel()
        return _Component(
            (self.mean * flip)[order],
            (self.factors * flip[:, None])[order],
            self.variance[order],
            self.visible[swap],
            self.share,
        )


class PoseModel:
    """The mixture, fitted at once.

    Args:
        poses: What to fit it to.
        swap: (K,) index of the same point on the other side. The mirrored poses are fitted as
            well: what faces left might as well face right.
        seed: Of the start.
    """

    def __init__(self, poses: Poses, swap: np.ndarray, seed: int = 0) -> None:
        poses = poses.joined(poses.mirrored(swap))
        values, mask = _flat(poses)
        levels = _one_hot(poses.visibility)
        start = _start(values, mask, levels, np.random.default_rng(seed))
        # poses and start are mirror images of themselves, and so is what fitting makes of them
        self._components = [*start, *(part.mirrored(swap) for part in start)]
        for _ in range(ITERATIONS):
            parts = [_posterior(values, mask, levels, part) for part in self._components]
            log_joint = np.stack([part.log_joint for part in parts], axis=1)
            belongs = np.exp(log_joint - _log_sum(log_joint)[:, None])
            for index, part in enumerate(parts):
                self._components[index] = _refit(values, mask, levels, belongs[:, index], part)

    def log_likelihood(self, poses: Poses, coords_only: bool = False) -> np.ndarray:
        """(N,) natural logarithm of each pose's likelihood.

        Args:
            poses: N poses.
            coords_only: Leave out how likely the visibilities are.
        """
        values, mask = _flat(poses)
        levels = None if coords_only else _one_hot(poses.visibility)
        parts = [_posterior(values, mask, levels, part).log_joint for part in self._components]
        return _log_sum(np.stack(parts, axis=1))

    def log_likelihood_of_points(self, poses: Poses) -> np.ndarray:
        """(N, K) log-density of each labelled point's coords given the other points, else 0."""
        whole = self.log_likelihood(poses, coords_only=True)
        given_others = np.zeros(poses.visibility.shape)
        for point in range(poses.xy.shape[1]):
            rows = np.flatnonzero(poses.visibility[:, point] > 0)
            if len(rows):
                without = poses.visibility[rows]
                without[:, point] = 0
                rest = self.log_likelihood(Poses(poses.xy[rows], without), coords_only=True)
                given_others[rows, point] = whole[rows] - rest
        return given_others


@dataclass
class _Posterior:
    """Factors and likelihood of each pose under one component."""

    factors: np.ndarray  # (N, R)
    spread: np.ndarray  # (N, R, R)
    weight: np.ndarray  # (N,) of the t distribution
    log_joint: np.ndarray  # (N,)


def _flat(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) coordinates and (N, D) whether they are labelled, as 0 and 1."""
    mask = np.repeat(poses.visibility > 0, 2, axis=1).astype(float)
    return poses.xy.reshape(len(poses), -1) * mask, mask


def _one_hot(visibility: np.ndarray) -> np.ndarray:
    """(N, K, 3)."""
    return (visibility[..., None] == np.arange(3)).astype(float)


def _log_sum(log_joint: np.ndarray) -> np.ndarray:
    largest = log_joint.max(axis=1)
    return largest + np.log(np.exp(log_joint - largest[:, None]).sum(axis=1))


def _posterior(
    values: np.ndarray, mask: np.ndarray, levels: np.ndarray | None, part: _Component
) -> _Posterior:
    rank = part.factors.shape[1]
    centred = (values - part.mean) * mask
    outer = (part.factors[:, :, None] * part.factors[:, None, :]).reshape(len(part.mean), -1)
    precision = np.eye(rank) + ((mask / part.variance) @ outer).reshape(-1, rank, rank)
    spread = np.linalg.inv(precision)
    pull = (centred / part.variance) @ part.factors
    factors = np.einsum("nij,nj->ni", spread, pull)
    distance = (centred**2 / part.variance).sum(axis=1) - (pull * factors).sum(axis=1)
    log_volume = (mask * np.log(part.variance)).sum(axis=1) - np.linalg.slogdet(spread)[1]
    count = mask.sum(axis=1)
    half = (FREEDOM + count) / 2
    log_coords = (
        gammaln(half)
        - math.lgamma(FREEDOM / 2)
        - 0.5 * (count * math.log(FREEDOM * math.pi) + log_volume)
        - half * np.log1p(distance / FREEDOM)
    )
    log_joint = log_coords + math.log(part.share)
    if levels is not None:
        log_visible = np.einsum("nkv,kv->n", levels, np.log(part.visible))
        log_joint = log_joint + log_visible
    weight = (FREEDOM + count) / (FREEDOM + distance)
    return _Posterior(factors, spread, weight, log_joint)


def _refit(
    values: np.ndarray,
    mask: np.ndarray,
    levels: np.ndarray,
    belongs: np.ndarray,
    part: _Posterior,
) -> _Component:
    """The component that explains best what belongs to it."""
    count, rank = part.factors.shape
    weight = belongs * part.weight
    # each coordinate is regressed on the factors and a constant, over the poses that have it
    known = np.concatenate([part.factors, np.ones((count, 1))], axis=1)
    second = known[:, :, None] * known[:, None, :]
    # under the t distribution the posterior spread is divided by the weight
    second[:, :rank, :rank] += part.spread / part.weight[:, None, None]
    weighed = mask * weight[:, None]
    gram = (weighed.T @ second.reshape(count, -1)).reshape(-1, rank + 1, rank + 1)
    target = (weighed * values).T @ known
    ridge = np.diag([1.0] * rank + [1e-6])
    solved = np.linalg.solve(gram + ridge, target[..., None])[..., 0]
    rest = (weighed * values**2).sum(axis=0) - (solved * target).sum(axis=1)
    labelled = (mask * belongs[:, None]).sum(axis=0)
    variance = (rest + PRIOR_POSES * PRIOR_SPREAD**2) / (labelled + PRIOR_POSES)
    seen = np.einsum("n,nkv->kv", belongs, levels)
    visible = (seen + PRIOR_POSES * _overall(levels)) / (belongs.sum() + PRIOR_POSES)
    return _Component(
        solved[:, rank],
        solved[:, :rank],
        np.maximum(variance, 1e-4),
        visible,
        (belongs.sum() + 1) / (count + COMPONENTS),
    )


def _start(
    values: np.ndarray, mask: np.ndarray, levels: np.ndarray, rng: np.random.Generator
) -> list[_Component]:
    """Components around poses that are far from each other, with random small factors.

    The second half of the poses is the mirror image of the first.
    """
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
    overall = values.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return [
        _Component(
            np.where(mask[index] > 0, values[index], overall),
            rng.normal(0, 0.1, (size, FACTORS)),
            np.full(size, START_VARIANCE),
            _overall(levels),
            1 / COMPONENTS,
        )
        for index in chosen
    ]


def _overall(levels: np.ndarray) -> np.ndarray:
    """(K, 3) share of each visibility, never quite 0."""
    return (levels.mean(axis=0) + 0.02) / 1.06
