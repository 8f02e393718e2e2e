"""Errors, PCK and average precision of single keypoints, as functions of arrays.

Shapes: N instances, K keypoints, B samples of the instances. Every instance has one prediction, as
in top-down estimation from given boxes, so nothing has to be matched. ``distance_px`` (N, K) and
what is made of it is NaN where a point is unlabelled, ``side_px`` (N,) the longer side of a box.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's ten thresholds of object keypoint similarity."""
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
"""COCO's 101 recall levels, over which precision is averaged."""
SWAP_THRESHOLD = 0.1
"""Distance to the other side's point at which it counts, as a fraction of the box's longer side."""


def distances_px(predicted: np.ndarray, gt: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """(N, K) distances of labelled keypoints, both (N, K, 2) px; visibility (N, K) as COCO's."""
    distance = np.linalg.norm(np.asarray(predicted, float) - np.asarray(gt, float), axis=-1)
    return np.where(np.asarray(visibility) > 0, distance, np.nan)


def box_side_px(boxes_xywh: np.ndarray) -> np.ndarray:
    """(N,) the longer side of each (N, 4) box in px: what PCK is normalised by for animals."""
    return np.asarray(boxes_xywh, float)[:, 2:4].max(axis=1)


def pck_hits(distance_px: np.ndarray, side_px: np.ndarray, threshold: float) -> np.ndarray:
    """(N, K) 1 for keypoints off by at most a fraction of the side, 0 for others, or NaN."""
    correct = distance_px <= threshold * side_px[:, None]
    return np.where(np.isfinite(distance_px), correct, np.nan)


def pck(distance_px: np.ndarray, side_px: np.ndarray, threshold: float) -> np.ndarray:
    """Percentage of correct keypoints, (K,) as a fraction; NaN for one that is labelled nowhere.

    >>> distance_px = np.array([[3.0, np.nan], [30.0, np.nan]])
    >>> pck(distance_px, side_px=np.array([100, 100]), threshold=0.05)
    array([0.5, nan])
    """
    hits = pck_hits(distance_px, side_px, threshold)
    counts = np.isfinite(hits).sum(axis=0)
    return np.where(counts > 0, np.nansum(hits, axis=0) / np.maximum(counts, 1), np.nan)


def left_right_inversions(
    predicted: np.ndarray,
    gt: np.ndarray,
    visibility: np.ndarray,
    side_px: np.ndarray,
    swap: Sequence[int],
) -> np.ndarray:
    """Mark predictions that miss their keypoint and hit the same one on the other side.

    To hit is to lie within ``SWAP_THRESHOLD`` of the box's longer side. Arguments as
    :func:`distances_px`; ``swap`` (K,) is the index of the other side's keypoint, its own for a
    point of the midline.

    Returns:
        (N, K) 1 or 0; NaN for the midline and where either of both is unlabelled.
    """
    partner = np.asarray(swap, int)
    own = distances_px(predicted, gt, visibility)
    other = distances_px(predicted, gt[:, partner], visibility[:, partner])
    reach = SWAP_THRESHOLD * side_px[:, None]
    known = np.isfinite(own) & np.isfinite(other) & (partner != np.arange(len(partner)))
    return np.where(known, (own > reach) & (other <= reach), np.nan)


def keypoint_ap(similarity: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """COCO average precision (K,) of each keypoint on its own, ranked by the keypoint's score.

    The mean over ``OKS_THRESHOLDS`` of the 101-point interpolated precision, of (N, K) similarities
    of :func:`oks` and scores; NaN for a keypoint that is labelled nowhere.

    >>> keypoint_ap(np.array([[0.97], [0.2]]), scores=np.array([[0.9], [0.4]]))
    array([0.5049505])
    """
    return weighted_keypoint_ap(similarity, scores, np.ones((1, len(similarity)), int))[0]


def weighted_keypoint_ap(
    similarity: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """:func:`keypoint_ap` (B, K) of samples with instance n ``weights[b, n]`` times."""
    found = np.full((len(weights), similarity.shape[1]), np.nan)
    for index in range(similarity.shape[1]):
        labelled = np.flatnonzero(np.isfinite(similarity[:, index]))
        order = labelled[np.argsort(-scores[labelled, index], kind="stable")]
        if len(order):
            found[:, index] = _average_precision(similarity[order, index], weights[:, order])
    return found


def _average_precision(ranked_similarity: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(B,) mean AP over the thresholds of n detections in the order of their scores.

    An instance that occurs several times counts at its last rank: precision only rises over those
    of a hit, and interpolation takes the largest from each recall on.
    """
    tried = np.cumsum(weights, axis=1)
    total = tried[:, -1:]
    areas = np.zeros(len(weights))
    for threshold in OKS_THRESHOLDS:
        hits = np.cumsum(weights * (ranked_similarity >= threshold), axis=1)
        precision = hits / np.maximum(tried, 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        # number of recall levels that are first reached at each rank
        reached = np.searchsorted(RECALL_POINTS, hits / np.maximum(total, 1), side="right")
        areas += (envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1)
    areas /= len(OKS_THRESHOLDS) * len(RECALL_POINTS)
    return np.where(total[:, 0] > 0, areas, np.nan)
