"""Limbs whose lengths do not go with the rest of the pose, and limbs that cross to the other side.

An image shortens limbs that point at the camera and lengthens none, so only limbs that are too
long are looked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet, extent_px

MAD_TO_SIGMA = 1.4826
"""A normal distribution's standard deviation, in units of its median absolute deviation."""
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
CROSSING_GAIN = 0.12
"""Least gain of the exchange, as a fraction of the annotation's extent."""


def labelled_links(labels: LabelSet) -> np.ndarray:
    """(L, 2) links of the skeleton, joined through points that no annotation labels."""
    edges = {frozenset(link) for link in labels.scheme.links.tolist()}
    for point in np.flatnonzero(~labels.labelled.any(axis=0)).tolist():
        touching = [edge for edge in edges if point in edge]
        edges -= set(touching)
        joined = frozenset().union(*touching) - {point}
        if len(touching) == len(joined) == 2:
            edges.add(joined)
    return np.array(sorted(sorted(edge) for edge in edges), int).reshape(-1, 2)


def check_limbs(labels: LabelSet) -> Iterator[Issue]:
    """Find limbs that are too long, and limbs that cross."""
    links = labelled_links(labels)
    if len(labels) and len(links):
        yield from _too_long(labels, links)
        yield from _crossed(labels, links)


def length_ratios(
    xy: np.ndarray, labelled: np.ndarray, links: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the length of each limb over its usual length, at the size of the annotation.

    From (N, K, 2) points, (N, K) labelled or not, and (L, 2) links to (N, L) logarithms of the
    ratios, NaN where unknown, and their (L,) robust sigmas.
    """
    both = labelled[:, links].all(axis=-1)
    length = _gap(xy, *links.T)
    log_length = np.where(both & (length > 0), np.log(np.maximum(length, 1e-9)), np.nan)
    log_length[:, both.sum(axis=0) < MIN_ANNOTATIONS] = np.nan
    log_length[np.isfinite(log_length).sum(axis=1) < MIN_LIMBS] = np.nan
    ratio = log_length - _median(log_length, axis=1)
    # sizes depend on which limbs an annotation has, so they are taken against the usual lengths
    for _ in range(3):
        ratio = ratio - _median(ratio, axis=0)
        ratio = ratio - _median(ratio, axis=1)
    sigma = MAD_TO_SIGMA * _median(np.abs(ratio - _median(ratio, axis=0)), axis=0)[0]
    return ratio, np.maximum(sigma, MIN_SIGMA)


def _gap(xy: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.linalg.norm(xy[:, start] - xy[:, end], axis=-1)


def _median(values: np.ndarray, axis: int) -> np.ndarray:
    """Median over what is known, 0 where nothing is; the axis stays."""
    masked = np.ma.masked_invalid(values)
    return np.ma.filled(np.ma.median(masked, axis=axis, keepdims=True), 0.0)


def _too_long(labels: LabelSet, links: np.ndarray) -> Iterator[Issue]:
    ratio, sigma = length_ratios(labels.xy, labels.labelled, links)
    too_long = (ratio > MAX_Z * sigma) & (ratio > np.log(MIN_RATIO))
    for index in np.flatnonzero(too_long.any(axis=1)):
        mine = np.flatnonzero(too_long[index])
        ends = np.unique(links[mine])
        # a point whose limbs are in order on the whole is not to blame
        around = [np.nanmedian(ratio[index, (links == end).any(axis=1)]) for end in ends]
        points = ends[np.array(around) > np.log(MIN_RATIO) / 2]
        points = points if len(points) else ends
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


def _crossed(labels: LabelSet, links: np.ndarray) -> Iterator[Issue]:
    """Joints from which on left and right are exchanged: both limbs are much too long then."""
    swap, names = labels.scheme.swap, labels.scheme.names
    start, end = links.T
    sided = (start < swap[start]) & (swap[end] != end) & (end != swap[start])
    start, end = links[sided].T
    known = labels.labelled[:, [start, end, swap[start], swap[end]]].all(axis=1)
    straight = _gap(labels.xy, start, end) + _gap(labels.xy, swap[start], swap[end])
    exchanged = _gap(labels.xy, start, swap[end]) + _gap(labels.xy, swap[start], end)
    gain = (straight - exchanged) / extent_px(labels.xy, labels.labelled)[:, None]
    crossed = known & (straight > CROSSING_RATIO * exchanged) & (gain > CROSSING_GAIN)
    for index in np.flatnonzero(crossed.any(axis=1)):
        mine = np.flatnonzero(crossed[index])
        limbs = ", ".join(f"{names[start[i]]}–{names[end[i]]}" for i in mine)
        yield labels.issue(
            "crossed_limbs",
            index,
            f"{limbs} and the other side's would be shorter with their ends exchanged",
            np.unique([end[mine], swap[end[mine]]]),
            gain[index, mine].max(),
        )
