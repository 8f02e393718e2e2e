"""Errors, PCK and average precision of single keypoints, as functions of arrays.

Shapes: N instances, K keypoints, T thresholds. Every instance has one prediction, as in top-down
estimation from given boxes, so nothing has to be matched.
"""

from __future__ import annotations

import numpy as np

OKS_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's ten thresholds of object keypoint similarity."""

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
"""COCO's 101 recall levels, over which precision is averaged."""


def distances_px(predicted: np.ndarray, truth: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Distance of each labelled keypoint to its truth.

    Args:
        predicted: (N, K, 2) px of the original picture.
        truth: (N, K, 2) px.
        visibility: (N, K) COCO visibility; 0 is unlabelled.

    Returns:
        (N, K) px, NaN where unlabelled.
    """
    distance = np.linalg.norm(np.asarray(predicted, float) - np.asarray(truth, float), axis=-1)
    return np.where(np.asarray(visibility) > 0, distance, np.nan)


def box_side_px(boxes_xywh: np.ndarray) -> np.ndarray:
    """(N,) the longer side of each (N, 4) box in px: what PCK is normalised by for animals."""
    return np.asarray(boxes_xywh, float)[:, 2:4].max(axis=1)


def pck(distance_px: np.ndarray, side_px: np.ndarray, threshold: float) -> np.ndarray:
    """Percentage of correct keypoints, as a fraction.

    Args:
        distance_px: (N, K), NaN where unlabelled.
        side_px: (N,) the length that a threshold of 1 stands for.
        threshold: Fraction of ``side_px``; a distance equal to it is correct.

    Returns:
        (K,) fractions, NaN for a keypoint that is labelled nowhere.
    """
    labelled = np.isfinite(distance_px)
    correct = (distance_px <= threshold * side_px[:, None]) & labelled
    counts = labelled.sum(axis=0)
    return np.where(counts > 0, correct.sum(axis=0) / np.maximum(counts, 1), np.nan)


def keypoint_similarity(
    distance_px: np.ndarray, area_px2: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """COCO's similarity of each keypoint on its own: exp(−d² / (2 · area · (2σ)²)).

    Source: https://cocodataset.org/#keypoints-eval; ``area`` stands for the squared scale.

    Args:
        distance_px: (N, K), NaN where unlabelled.
        area_px2: (N,) area of the instance.
        sigmas: (K,) fall-off constants.

    Returns:
        (N, K) in 0–1, NaN where unlabelled.
    """
    variance = (2 * np.asarray(sigmas, float)) ** 2
    scale = np.asarray(area_px2, float)[:, None] + np.spacing(1)
    return np.exp(-(distance_px**2) / (2 * variance * scale))


def keypoint_ap(similarity: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """COCO average precision of each keypoint on its own, ranked by the keypoint's score.

    Args:
        similarity: (N, K) of :func:`keypoint_similarity`, NaN where unlabelled.
        scores: (N, K) predicted scores.

    Returns:
        (K,) mean over ``OKS_THRESHOLDS`` of the 101-point interpolated precision; NaN for a
        keypoint that is labelled nowhere.
    """
    precision_means = np.full(similarity.shape[1], np.nan)
    for index in range(similarity.shape[1]):
        labelled = np.isfinite(similarity[:, index])
        if labelled.any():
            order = np.argsort(-scores[labelled, index], kind="mergesort")
            precision_means[index] = _average_precision(similarity[labelled, index][order])
    return precision_means


def _average_precision(ranked_similarity: np.ndarray) -> float:
    """Mean AP over the thresholds of N detections in the order of their scores, each with truth."""
    count = len(ranked_similarity)
    hits = np.cumsum(ranked_similarity[None] >= OKS_THRESHOLDS[:, None], axis=1)  # (T, N)
    recall = hits / count
    precision = hits / np.arange(1, count + 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    areas = []
    for recall_t, envelope_t in zip(recall, envelope, strict=True):
        first = np.searchsorted(recall_t, RECALL_POINTS, side="left")
        areas.append(np.append(envelope_t, 0.0)[first].mean())
    return float(np.mean(areas))
