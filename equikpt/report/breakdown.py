"""Errors by part: size, visibility, score, side, instance, and radius.

Errors are distances as fractions of the box's longer side. A point is right within
``RIGHT_WITHIN``. Letters: N instances, K keypoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from equikpt.evaluation.functional.keypoint_errors import (
    box_side_px,
    distances_px,
    left_right_inversions,
)
from equikpt.evaluation.functional.keypoint_measures import PosePredictions
from equikpt.evaluation.functional.uncertainty import TOLERANCE
from equikpt_runtime.boxes import oks

RIGHT_WITHIN = 0.1
"""Distance up to which a point is right, as a fraction of the box's longer side."""
RADIUS_BINS = 10
SIZE_BINS = 4
SCORE_EDGES = (-np.inf, 0.2, 0.4, 0.6, 0.8, np.inf)


def error_fractions(pose: PosePredictions) -> np.ndarray:
    """(N, K) distance from the ground truth by the box's longer side, NaN where unlabelled."""
    distance_px = distances_px(pose.predicted, pose.gt, pose.visibility)
    return distance_px / box_side_px(pose.boxes)[:, None]


def within_tolerance(pose: PosePredictions, sigmas: Sequence[float]) -> np.ndarray:
    """(N, K) 1 or 0: an OKS of the keypoint alone of 0.5 or more; NaN where unlabelled."""
    distance_px = distances_px(pose.predicted, pose.gt, pose.visibility)
    similarity = oks(distance_px, pose.areas, np.asarray(sigmas))
    return np.where(np.isfinite(similarity), similarity >= TOLERANCE, np.nan)


def by_radius(pose: PosePredictions, radii_px: np.ndarray) -> pd.DataFrame:
    """Errors of points by their radius (N, K), in up to ten bins of as many points.

    Returns:
        One row a bin: ``radius_px`` (mean), ``median_px`` and ``high_px``, the median and the 0.9
        quantile of the distances from the labels.
    """
    distance_px = distances_px(pose.predicted, pose.gt, pose.visibility)
    known = np.isfinite(distance_px) & np.isfinite(radii_px)
    points = pd.DataFrame(dict(radius_px=radii_px[known], distance_px=distance_px[known]))
    bins = pd.qcut(points["radius_px"], RADIUS_BINS, duplicates="drop")
    grouped = points.groupby(bins, observed=True)
    return grouped.agg(
        radius_px=("radius_px", "mean"),
        median_px=("distance_px", "median"),
        high_px=("distance_px", lambda each: each.quantile(0.9)),
    ).reset_index(drop=True)


def spreads(pose: PosePredictions) -> dict[str, pd.DataFrame]:
    """Quartiles of the error by size of the instance, visibility and score of the point.

    Sizes are the square root of the area in px, in its quarters.

    Returns:
        Tables by ``size``, ``visibility`` and ``score``, one row a part with labelled points:
        ``part``, ``points``, ``low``, ``median``, ``high`` and ``right``, the fraction right.
    """
    sizes_px = np.sqrt(pose.areas)
    inner = np.quantile(sizes_px, np.linspace(0, 1, SIZE_BINS + 1)[1:-1]).round()
    sizes = _binned(sizes_px, [-np.inf, *np.unique(inner), np.inf], "{:.0f}")
    codes = np.where(pose.visibility > 0, 2 - pose.visibility, -1).astype(int).ravel()
    error = error_fractions(pose).ravel()
    by = dict(
        size=sizes.repeat(pose.scores.shape[1]),
        visibility=pd.Categorical.from_codes(codes, pd.Index(["seen", "hidden"])),
        score=_binned(pose.scores.ravel(), SCORE_EDGES, "{:.1f}"),
    )
    return {name: _quartiles(error, parts) for name, parts in by.items()}


def _binned(values: np.ndarray, edges: Sequence[float], digits: str) -> Any:
    """Bins as ``below 0.2``, ``0.2–0.4``, ``from 0.4``."""
    inner = [digits.format(edge) for edge in edges[1:-1]]
    names = [f"below {inner[0]}", *map("–".join, itertools.pairwise(inner)), f"from {inner[-1]}"]
    return pd.cut(values, edges, right=False, labels=names)


def _quartiles(error: np.ndarray, parts: Any) -> pd.DataFrame:
    points = pd.DataFrame(dict(part=parts, error=error, right=error <= RIGHT_WITHIN))
    return (
        points[np.isfinite(error)]
        .groupby("part", observed=True)
        .agg(
            points=("error", "size"),
            low=("error", lambda e: e.quantile(0.25)),
            median=("error", "median"),
            high=("error", lambda e: e.quantile(0.75)),
            right=("right", "mean"),
        )
        .reset_index()
    )


def inversions(pose: PosePredictions, swap: Sequence[int]) -> np.ndarray:
    """(N, K) 1: the prediction misses its keypoint and hits the same one on the other side.

    0 elsewhere, NaN where not both sides are labelled.

    Args:
        pose: N instances.
        swap: (K,) index of the other side's keypoint.
    """
    side_px = box_side_px(pose.boxes)
    return left_right_inversions(pose.predicted, pose.gt, pose.visibility, side_px, swap)


def by_pair(pose: PosePredictions, names: Sequence[str], swap: Sequence[int]) -> pd.DataFrame:
    """Pairs of sides that are labelled together somewhere, the most often inverted first.

    Returns:
        ``pair``, ``tried`` (instances with both labelled), ``first`` and ``second`` (inversions of
        each), ``both`` (at once) and ``percent``, inversions of all predictions of the two.
    """
    found = inversions(pose, swap)
    rows = []
    for first, second in ((a, b) for a, b in enumerate(swap) if a < b):
        tried, hits = int(np.isfinite(found[:, first]).sum()), found[:, [first, second]] == 1
        if tried:
            counts = dict(zip(("first", "second"), hits.sum(axis=0).tolist(), strict=True))
            percent = 100 * sum(counts.values()) / (2 * tried)
            pair = f"{names[first]} / {names[second]}"
            both = int(hits.all(axis=1).sum())
            rows.append(dict(pair=pair, tried=tried, **counts, both=both, percent=percent))
    columns = ["pair", "tried", "first", "second", "both", "percent"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("percent", ascending=False, kind="stable")


def by_instance(pose: PosePredictions, swap: Sequence[int]) -> pd.DataFrame:
    """Instances with labelled points, by their index, the one with the smallest mean error first.

    Returns:
        ``points`` (labelled), ``right`` (number), ``error`` (mean), ``inverted`` (number),
        ``score`` (mean) and ``size_px``, the square root of the area.
    """
    error = error_fractions(pose)
    known = np.isfinite(error)
    error, scores = (pd.DataFrame(each).where(known) for each in (error, pose.scores))
    table = pd.DataFrame(
        dict(
            points=known.sum(axis=1),
            right=(error <= RIGHT_WITHIN).sum(axis=1),
            error=error.mean(axis=1),
            inverted=(inversions(pose, swap) == 1).sum(axis=1),
            score=scores.mean(axis=1),
            size_px=np.sqrt(pose.areas),
        )
    )
    return table[table["points"] > 0].sort_values("error", kind="stable")
