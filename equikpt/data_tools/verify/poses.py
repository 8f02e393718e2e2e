"""Annotations that are unlikely among all the others: sides exchanged, or a point out of place.

Each annotation is judged by models that were fitted without its image.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from tqdm import tqdm

from equikpt.core.issues import Issue
from equikpt.data_tools.near_duplicates import clusters
from equikpt.data_tools.verify.label_set import LabelSet
from equikpt.data_tools.verify.limbs import labelled_links
from equikpt.data_tools.verify.pose_model import PoseModel, normalised

MIN_LOG_ODDS = 5.0
"""Log of the likelihood with sides exchanged over that as labelled, from which it is reported.

With one exchanged annotation in a hundred, 5 makes the exchange somewhat likelier than not.
"""
MAX_SHOWN = 20.0
"""Log odds from which a larger factor would say nothing more."""
MIN_LOG_DENSITY = -10.0
"""Log-density of a point given the others, in units of the pose's radius; usual is 2."""
MIN_POINTS = 5
MIN_POSES = 40
"""Fewer do not show what poses look like."""
FOLDS = 5
MAX_FITTED = 1000
"""Poses that a model is fitted to; more change little."""
REPEATS = 3
"""Draws of folds and start for smaller sets; their mean varies less than one."""
JUDGED_AT_ONCE = 20_000
MAX_SUSPECTS = 500
"""Least likely poses of those judged at once, whose points are judged singly."""


def check_poses(labels: LabelSet) -> Iterator[Issue]:
    """Find exchanged sides, and points that the rest of the pose puts elsewhere."""
    scheme = labels.scheme
    judged = np.flatnonzero(labels.labelled.sum(axis=1) >= MIN_POINTS)
    if len(judged) < MIN_POSES:
        return
    poses = normalised(labels.xy[judged], labels.visibility[judged])
    variants = exchanges(scheme.swap, labelled_links(labels))
    images = [(int(labels.file[index]), labels.rows[index]["image_id"]) for index in judged]
    log_odds, of_points = evidence(poses, scheme.swap, variants, images)
    best = log_odds.argmax(axis=1)
    for row in np.flatnonzero(log_odds.max(axis=1) > MIN_LOG_ODDS):
        order, odds = variants[best[row]], log_odds[row, best[row]]
        moved = np.flatnonzero((order != np.arange(len(order))) & labels.labelled[judged[row]])
        pairs = "all pairs" if best[row] == 0 else scheme.names_of(moved)
        yield labels.issue(
            "swapped_sides",
            judged[row],
            f"a model of the other poses finds this one likelier with left and right of {pairs} "
            f"exchanged, by a factor of {np.exp(min(odds, MAX_SHOWN)):,.0f}",
            moved,
            odds,
        )
    for row in np.flatnonzero(of_points.min(axis=1) < MIN_LOG_DENSITY):
        point = int(of_points[row].argmin())
        message = f"a model of the other poses expects {scheme.names[point]} elsewhere"
        score = -of_points[row, point]
        yield labels.issue("misplaced_point", judged[row], message, [point], score)


def exchanges(swap: np.ndarray, links: np.ndarray) -> list[np.ndarray]:
    """List orders (K,) that exchange all pairs, which is the first, or one pair of limbs alone.

    ``swap`` (K,) are indices of the other side; a limb is what ``links`` (L, 2) connect without
    crossing the midline. The list is empty where no keypoint has another side.
    """
    identity = np.arange(len(swap))
    sided = swap != identity
    if not sided.any():
        return []
    within = links[sided[links].all(axis=1)]
    limb = clusters(len(swap), [*within, *enumerate(swap)])
    limbs = np.unique(limb[sided])
    single = [np.where(limb == label, swap, identity) for label in limbs]
    return [swap, *(single if len(limbs) > 1 else [])]


def evidence(
    poses: np.ndarray, swap: np.ndarray, variants: Sequence[np.ndarray], groups: Sequence[Hashable]
) -> tuple[np.ndarray, np.ndarray]:
    """Judge N poses by cross-fitted models of the other poses.

    Args:
        poses: (N, K, 3) of :func:`~equikpt.data_tools.verify.pose_model.normalised`.
        swap: (K,) index of the other side.
        variants: V orders of the keypoints.
        groups: N keys; poses of one key are never judged by a model that was fitted to one of them.

    Returns:
        (N, V) log-likelihood of each variant less that as labelled, one column of 0 without a
        variant, and (N, K) log-density of each point given the others; 0 where not labelled, and
        where the pose as a whole is likely.
    """
    ids = {key: id_ for id_, key in enumerate(dict.fromkeys(groups))}
    group = np.array([ids[key] for key in groups])
    repeats = REPEATS if len(poses) < MAX_FITTED else 1
    log_odds = np.zeros((repeats, len(poses), max(len(variants), 1)))
    points = np.zeros((repeats, *poses.shape[:2]))
    rngs = [np.random.default_rng(seed) for seed in range(repeats)]
    folds = [(rng.permutation(group.max() + 1) % FOLDS)[group] for rng in rngs]
    draws = [(seed, fold) for seed in range(repeats) for fold in range(FOLDS)]
    for seed, number in tqdm(draws, desc="poses", unit="model", delay=5, disable=None):
        others, mine = np.flatnonzero(folds[seed] != number), np.flatnonzero(folds[seed] == number)
        model = PoseModel(poses[rngs[seed].permutation(others)[:MAX_FITTED]], swap, seed)
        for start in range(0, len(mine), JUDGED_AT_ONCE):
            rows = mine[start : start + JUDGED_AT_ONCE]
            judged = poses[rows]
            as_labelled = model.log_likelihood(judged)
            for column, order in enumerate(variants):
                changed = model.log_likelihood(judged[:, order])
                log_odds[seed, rows, column] = changed - as_labelled
            per_point = model.log_likelihood(judged, coords_only=True)
            per_point /= (judged[..., 2] > 0).sum(axis=1)
            suspects = rows[np.argsort(per_point)[:MAX_SUSPECTS]]
            points[seed, suspects] = model.log_likelihood_of_points(poses[suspects])
    return log_odds.mean(axis=0), points.mean(axis=0)
