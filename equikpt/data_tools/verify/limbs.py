"""Limbs whose lengths do not go with the rest of the pose, and limbs that cross to the other side.

An image shortens limbs that point at the camera and lengthens none, so only limbs that are too
long are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet, extent_px
from equikpt.data_tools.verify.ruler import MAD_TO_SIGMA

MIN_ANNOTATIONS = 20
"""Annotations with a limb, to know its usual length."""
MIN_LIMBS = 4
"""Limbs of an annotation, to know its size."""
MIN_SIGMA = 0.15
"""Smallest sigma of the logarithm of a length."""
MAX_Z = 5.0
MIN_RATIO = 2.0
"""A limb is too long beyond both, this many times its usual length and ``MAX_Z``."""

CROSSING_RATIO = 1.2
"""Length of both limbs as labelled, over that with their ends exchanged."""
CROSSING_SHARE = 0.12
"""Least gain of the exchange, as a share of the annotation's extent."""


def labelled_links(links: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Join the links (L, 2) through points that no annotation labels.

    Args:
        links: (L, 2) indices of keypoints.
        labelled: (K,) bool, true where any annotation labels the point.
    """
    edges = {frozenset(link) for link in links.tolist()}
    for point in np.flatnonzero(~labelled).tolist():
        touching = [edge for edge in edges if point in edge]
        edges -= set(touching)
        if len(touching) == 2:
            joined = (touching[0] | touching[1]) - {point}
            if len(joined) == 2:
                edges.add(joined)
    return np.array(sorted(sorted(edge) for edge in edges), int).reshape(-1, 2)


def check_limbs(labels: LabelSet) -> Iterator[Issue]:
    """Find limbs that are too long, and limbs that cross."""
    if not len(labels):
        return
    links = labelled_links(labels.scheme.links, labels.ever_labelled)
    yield from _too_long(labels, links)
    yield from _crossed(labels, links)


def length_ratios(
    xy: np.ndarray, labelled: np.ndarray, links: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the length of each limb over its usual length, at the size of the annotation.

    Args:
        xy: (N, K, 2).
        labelled: (N, K).
        links: (L, 2).

    Returns:
        (N, L) logarithms of the ratios, NaN where unknown, and their (L,) robust sigmas.
    """
    both = labelled[:, links[:, 0]] & labelled[:, links[:, 1]]
    length = np.linalg.norm(xy[:, links[:, 0]] - xy[:, links[:, 1]], axis=-1)
    log_length = np.where(both & (length > 0), np.log(np.maximum(length, 1e-9)), np.nan)
    log_length[:, both.sum(axis=0) < MIN_ANNOTATIONS] = np.nan
    log_length[np.isfinite(log_length).sum(axis=1) < MIN_LIMBS] = np.nan
    ratio = log_length - _median(log_length, axis=1)
    # sizes depend on which limbs an annotation has, so they are taken against the usual lengths
    for _ in range(3):
        usual = _median(ratio, axis=0)
        ratio = ratio - usual
        ratio = ratio - _median(ratio, axis=1)
    sigma = MAD_TO_SIGMA * _median(np.abs(ratio - _median(ratio, axis=0)), axis=0)[0]
    return ratio, np.maximum(sigma, MIN_SIGMA)


def _median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median over what is known, 0 where nothing is; the axis stays."""
    masked = np.ma.masked_invalid(values)
    return np.ma.filled(np.ma.median(masked, axis=axis, keepdims=True), 0.0)


def _too_long(labels: LabelSet, links: np.ndarray) -> Iterator[Issue]:
    if not len(links):
        return
    ratio, sigma = length_ratios(labels.xy, labels.labelled, links)
    too_long = (ratio > MAX_Z * sigma) & (ratio > np.log(MIN_RATIO))
    for index in np.flatnonzero(too_long.any(axis=1)):
        mine = np.flatnonzero(too_long[index])
        points = _blamed(links, ratio[index], mine)
        worst = mine[np.argmax(ratio[index, mine])]
        start, end = (labels.scheme.names[point] for point in links[worst])
        yield labels.issue(
            "limb_length",
            index,
            f"{start}–{end} is {np.exp(ratio[index, worst]):.1f} times as long as it would be at "
            f"this size; {labels.scheme.names_of(points)} may be misplaced",
            points,
            ratio[index, worst] / sigma[worst],
        )


def _blamed(links: np.ndarray, ratio: np.ndarray, too_long: np.ndarray) -> list[int]:
    """The points whose limbs are too long on the whole; a point with limbs in order is not."""
    blamed = []
    for point in sorted({int(point) for point in links[too_long].ravel()}):
        around = ratio[(links == point).any(axis=1)]
        if np.nanmedian(around) > np.log(MIN_RATIO) / 2:
            blamed.append(point)
    return blamed or sorted({int(point) for point in links[too_long].ravel()})


def _crossed(labels: LabelSet, links: np.ndarray) -> Iterator[Issue]:
    """Joints from which on left and right are exchanged: both limbs are much too long then."""
    swap = labels.scheme.swap
    sided = [(a, b) for a, b in links.tolist() if swap[a] != a and swap[b] != b and a < swap[a]]
    sided = [(a, b) for a, b in sided if b != swap[a]]
    if not sided:
        return
    start, end = np.array(sided).T
    known = np.all([labels.labelled[:, p] for p in (start, end, swap[start], swap[end])], axis=0)
    straight = _gap(labels.xy, start, end) + _gap(labels.xy, swap[start], swap[end])
    exchanged = _gap(labels.xy, start, swap[end]) + _gap(labels.xy, swap[start], end)
    extent = extent_px(labels.xy, labels.labelled)
    gain = (straight - exchanged) / extent[:, None]
    crossed = known & (straight > CROSSING_RATIO * exchanged) & (gain > CROSSING_SHARE)
    for index in np.flatnonzero(crossed.any(axis=1)):
        mine = np.flatnonzero(crossed[index])
        points = sorted({int(p) for i in mine for p in (end[i], swap[end[i]])})
        limbs = ", ".join(
            f"{labels.scheme.names[start[i]]}–{labels.scheme.names[end[i]]}" for i in mine
        )
        yield labels.issue(
            "crossed_limbs",
            index,
            f"{limbs} and the other side's would be shorter with their ends exchanged",
            points,
            gain[index, mine].max(),
        )


def _gap(xy: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.linalg.norm(xy[:, start] - xy[:, end], axis=-1)
