"""Mean pose, skeleton and halves of a keypoint set, from labelled poses.

Points are complex numbers, x + iy in px, so that turning and scaling is one multiplication.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence

import numpy as np

MAX_POSES = 500
ROUNDS = 6
ONE_WAY = 0.6
"""Length of the mean of unit vectors along the poses from which they stand one way up."""
TRUNK = 0.75
"""Factor on the length of links along the midline: a trunk joins limbs, not limbs a trunk."""
MIN_HALVED = 6
"""Keypoints from which a set has halves."""
HEAD_WORDS = (
    "nose eye ear head face mouth snout beak muzzle poll antenna chin nase auge ohr kopf maul "
    "schnauze nez oeil oreille tete bouche bec naso occhio orecchio testa bocca ojo oreja nariz "
    "cabeza boca nos oga ora huvud"
)
HEADS = frozenset(HEAD_WORDS.split())
"""Words of points of the head: its half is the upper one."""


def points_of(poses: np.ndarray, at_most: int = MAX_POSES) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, K) complex, each pose centred and of mean square 1, and which are labelled.

    Args:
        poses: (N, K, 3) x, y and COCO's visibility. Poses without two apart points are left out,
            and of more than ``at_most``, some at equal distances.
        at_most: Poses that are taken.
    """
    poses = np.asarray(poses, float)
    labelled = (poses[..., 2] > 0) & np.isfinite(poses[..., :2]).all(axis=-1)
    points = np.where(labelled, poses[..., 0] + 1j * poses[..., 1], 0)
    count = np.maximum(labelled.sum(axis=1), 1)
    points = np.where(labelled, points - (points.sum(axis=1) / count)[:, None], 0)
    size = np.sqrt((np.abs(points) ** 2).sum(axis=1) / count)
    used = np.flatnonzero(size > 0)
    used = used[:: math.ceil(len(used) / at_most) or 1]
    return points[used] / size[used, None], labelled[used]


def mean_pose(poses: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Mean pose (K, 2) of the most frequent view, NaN for points that no pose has.

    Poses are turned, scaled and, where that fits better, mirrored onto their mean, the half that
    fits worst is left out, and the mean is turned to how they stand in their images, if they stand
    one way.

    Args:
        poses: (N, K, 3) x, y in px and COCO's visibility.
        flip: (K,) index of the same point on the other side, its own for the midline.

    Returns:
        Around 0, in units of the pose's size; y points down.
    """
    points, labelled = points_of(poses)
    if not len(points):  # no pose has two points: nothing has a shape
        seen = np.any(np.asarray(poses, float)[..., 2] > 0, axis=0)
        return np.where(seen[:, None], 0.0, np.nan) * np.ones(2)
    views = [(points, labelled), (-points.conj()[:, flip], labelled[:, flip])]
    first = int(np.argmax(labelled.sum(axis=1)))
    mean, known = points[first], labelled[first]
    for number in range(ROUNDS):
        fitted = [_onto(mean, known, *view) for view in views]
        mirrored = fitted[1][1] < fitted[0][1]
        moved = np.where(mirrored[:, None], fitted[1][0], fitted[0][0])
        there = np.where(mirrored[:, None], views[1][1], views[0][1])
        residual = np.where(mirrored, fitted[1][1], fitted[0][1])
        turn = np.where(mirrored, fitted[1][2], fitted[0][2])
        kept = np.isfinite(residual)
        if number == ROUNDS - 1 and kept.sum() > 10:
            kept &= residual <= np.median(residual[kept])
        weight = there & kept[:, None]
        count = weight.sum(axis=0)
        known = count > 0
        mean = np.where(known, (moved * weight).sum(axis=0) / np.maximum(count, 1), 0)
        mean = np.where(known, mean - mean[known].mean(), 0)
        mean = mean / max(np.sqrt((np.abs(mean[known]) ** 2).mean()), 1e-9)
    turn = turn[kept & (turn != 0)]
    heading = (turn / np.abs(turn)).mean() if len(turn) else 1
    if abs(heading) < ONE_WAY:  # seen from above, headed anywhere: the long axis goes upright
        heading = -1j * np.exp(0.5j * np.angle((mean[known] ** 2).sum()))
    mean = mean / (heading / abs(heading))
    return np.where(known[:, None], np.stack([mean.real, mean.imag], axis=1), np.nan)


def _onto(
    mean: np.ndarray, known: np.ndarray, points: np.ndarray, labelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (N, K) turned and scaled onto a mean, with residuals (N,) and what turns them (N,)."""
    shared = labelled & known
    count = np.maximum(shared.sum(axis=1), 1)
    centre = (points * shared).sum(axis=1) / count
    aim = (mean * shared).sum(axis=1) / count
    here = np.where(shared, points - centre[:, None], 0)
    there = np.where(shared, mean - aim[:, None], 0)
    spread = (np.abs(here) ** 2).sum(axis=1)
    turn = (here.conj() * there).sum(axis=1) / np.maximum(spread, 1e-12)
    moved = turn[:, None] * (points - centre[:, None]) + aim[:, None]
    residual = (np.abs(moved - mean) ** 2 * shared).sum(axis=1)
    residual = residual / np.maximum((np.abs(there) ** 2).sum(axis=1), 1e-12)
    return moved, np.where((count > 2) | (known.sum() == count), residual, np.inf), turn


def distances(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (K, K) of the distances of points, in sizes of the pose.

    NaN where a pose never has both.
    """
    points, labelled = points_of(poses)
    both = labelled[:, :, None] & labelled[:, None]
    apart = np.where(both, np.abs(points[:, :, None] - points[:, None]), 0)
    count = np.where(both.any(axis=0), both.sum(axis=0), np.nan)
    mean = apart.sum(axis=0) / count
    return mean, np.sqrt(np.maximum((apart**2).sum(axis=0) / count - mean**2, 0))


def spanning_links(
    poses: np.ndarray, flip: np.ndarray, sides: Sequence[str]
) -> list[tuple[int, int]]:
    """Links (a, b) that join all K points, where their distances are short and vary little.

    A minimum spanning tree in which a link comes with its mirror image, so that both sides are
    alike; links across the midline, from left to right, come last, and may close a ring.

    Args:
        poses: (N, K, 3) x, y in px and COCO's visibility.
        flip: (K,) index of the same point on the other side, its own for the midline.
        sides: K times ``"left"``, ``"right"`` or nothing.
    """
    mean, deviation = distances(poses)
    cost = mean + deviation / 2
    cost = np.where(np.isfinite(cost), cost, np.nanmax(cost, initial=0) + 1)
    cost = cost + cost[flip][:, flip]
    middle = flip == np.arange(len(flip))
    cost = cost * np.where(middle[:, None] & middle, TRUNK, 1.0)
    crossing = np.array([[{a, b} == {"left", "right"} for b in sides] for a in sides])
    cost = cost + crossing * (cost.max(initial=0) + 1)
    tree = np.arange(len(flip))
    links: set[tuple[int, int]] = set()
    first, second = np.triu_indices(len(flip), 1)
    for edge in np.argsort(cost[first, second], kind="stable"):
        a, b = int(first[edge]), int(second[edge])
        if tree[a] != tree[b]:
            for start, end in ((a, b), sorted((int(flip[a]), int(flip[b])))):
                links.add((start, end))
                tree[tree == tree[end]] = tree[start]
    return sorted(links)


def halves(
    mean: np.ndarray,
    links: Iterable[tuple[int, int]],
    flip: np.ndarray,
    words: Sequence[Iterable[str]],
) -> list[str]:
    """Part of each of K points, ``"upper"`` or ``"lower"``; none where there are few points.

    Both ends of the long axis of the mean pose grow along the skeleton until they meet. The half
    with more points of a head is the upper one, else the higher.

    Args:
        mean: (K, 2) of :func:`mean_pose`.
        links: Pairs of indices.
        flip: (K,) index of the same point on the other side, its own for the midline.
        words: Those of each name.
    """
    known = np.isfinite(mean).all(axis=1)
    if len(mean) < MIN_HALVED or known.sum() < MIN_HALVED:
        return [""] * len(mean)
    middle = (mean + mean[flip]) / 2
    filled = np.where(known[:, None] & known[flip][:, None], middle, 0)
    axis = np.linalg.svd(filled, full_matrices=False)[2][0]
    along = filled @ axis
    edges = [
        (a, b, float(np.nan_to_num(np.linalg.norm(mean[a] - mean[b]), nan=1.0))) for a, b in links
    ]
    edges = edges + [(int(flip[a]), int(flip[b]), length) for a, b, length in edges]
    seeds = [np.flatnonzero(along == end) for end in (along.min(), along.max())]
    reach = [_steps(seed, edges, len(mean)) for seed in seeds]
    unreached = ~np.isfinite(reach[0]) & ~np.isfinite(reach[1])
    first = np.where(unreached, along < (along.min() + along.max()) / 2, reach[0] <= reach[1])
    heads = np.array([not HEADS.isdisjoint(each) for each in words])
    balance = int(heads[first].sum()) - int(heads[~first].sum())
    if balance == 0 and first.any() and not first.all():
        balance = filled[~first, 1].mean() - filled[first, 1].mean()
    return ["upper" if each == (balance > 0) else "lower" for each in first]


def _steps(seeds: Iterable[int], edges: Sequence[tuple[int, int, float]], count: int) -> np.ndarray:
    """Length (K,) of the shortest way from a seed along the links, infinite where there is none."""
    reach = np.full(count, np.inf)
    queue = [(0.0, int(seed)) for seed in seeds]
    while queue:
        length, here = heapq.heappop(queue)
        if length < reach[here]:
            reach[here] = length
            for a, b, step in edges:
                if here in (a, b):
                    heapq.heappush(queue, (length + step, b if here == a else a))
    return reach
