"""Check against labels that keypoints swap under a flip.

A mirrored pose is the pose of another animal once left and right are renamed. So each pose is
mirrored, the poses that it then resembles are found by all points but those in question, and these
are carried over to them. A pair fits better renamed than not, and better with each other than with
others.

Where mirrored poses resemble no pose, as in a video of an animal that only walks to the right, this
says nothing. Distances still do: a point is as far from the others as its partner is from theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equikpt.metainfo.shape import points_of

MAX_POSES = 240
MIN_POSES = 12
"""Poses that must be comparable for a verdict."""
MIN_MEASURED = 6
"""Poses that have both points from which their distance counts."""
NEAREST = 8
MIN_SHARED = 0.6
"""Fraction of a pose's points that another must have to be compared with it."""
LOCAL = 0.15
"""Distance, in sizes of the pose, within which points say most about where another belongs."""
CLEAR = 0.65
"""Fraction of poses from which they agree; as many standard errors as ``ERRORS`` from a half."""
ERRORS = 3.0
MAX_ASYMMETRY = 0.8
"""Greatest difference of distances, in sizes of the pose, that a pair can have."""
RIVALS = 3
"""Other partners that are tried for a point, those with the most similar distances."""

Pair = tuple[int, int]
Verdict = Literal["confirmed", "contradicted", "undecided"]


@dataclass(frozen=True)
class Evidence:
    """Verdict of the labels on one pair.

    Args:
        verdict: On the swap.
        count: Poses that could be compared.
        share: Fraction of them that fit better with the swap than without.
        asymmetry: Greatest difference between distances from one point to the others and those
            from its partner to theirs, in sizes of the pose.
    """

    verdict: Verdict
    count: int
    share: float
    asymmetry: float


class LabelledPoses:
    """Poses that swaps are checked against.

    Args:
        poses: (N, K, 3) x, y in px and COCO's visibility.
    """

    def __init__(self, poses: np.ndarray) -> None:
        self.points, self.labelled = points_of(poses, MAX_POSES)
        both = self.labelled[:, :, None] & self.labelled[:, None]
        apart = np.abs(self.points[:, :, None] - self.points[:, None])
        middle = np.ma.median(np.ma.masked_array(apart, ~both), axis=0)
        often = both.sum(axis=0) >= MIN_MEASURED
        self._apart = np.where(often, np.ma.getdata(middle), np.nan)

    def check(self, flip: np.ndarray, pair: Pair) -> Evidence:
        """Check one pair of a flip (K,), the partners' indices, whose other pairs help."""
        a, b = pair
        difference = self._difference(flip, a, b)
        asymmetry = float(np.max(difference, initial=0.0))
        count, share = self._agreement(flip, a, b)
        if asymmetry > MAX_ASYMMETRY or _is_clear(count, 1 - share):
            return Evidence("contradicted", count, share, asymmetry)
        for point, rival in self._rivals(flip, a, b):
            others, agreeing = self._agreement(flip, point, rival)
            if _is_clear(others, 1 - agreeing):
                return Evidence("contradicted", count, share, asymmetry)
        verdict: Verdict = "confirmed" if _is_clear(count, share) else "undecided"
        return Evidence(verdict, count, share, asymmetry)

    def sided(self, pairs: Sequence[Pair], known: Sequence[bool]) -> list[Pair]:
        """Pairs with their points in such an order that the first ones lie close together.

        Args:
            pairs: Pairs, of which some may be the wrong way round.
            known: Pairs that are the right way round already.
        """
        near = np.nan_to_num(self._apart, nan=2.0)
        fixed = [pair for pair, right in zip(pairs, known, strict=True) if right]
        rest = [pair for pair, right in zip(pairs, known, strict=True) if not right]
        if not fixed and rest:
            fixed = [rest.pop(0)]
        turned = {frozenset(pair): pair for pair in fixed}
        while rest:
            votes = [
                (near[a, d] + near[b, c] - near[a, c] - near[b, d], (a, b))
                for a, b in rest
                for c, d in turned.values()
            ]
            vote, pair = max(votes, key=lambda each: abs(each[0]))
            rest.remove(pair)
            turned[frozenset(pair)] = pair if vote >= 0 else pair[::-1]
        return [turned[frozenset(pair)] for pair in pairs]

    def likeness(self, a: int, b: int) -> float:
        """Mean difference of the sorted distances of two points to all others, inf if unknown."""
        others = np.array([c not in (a, b) for c in range(len(self._apart))])
        others &= np.isfinite(self._apart[a] + self._apart[b])
        if not others.any():
            return math.inf
        here, there = (np.sort(self._apart[point][others]) for point in (a, b))
        return float(np.abs(here - there).mean())

    def _difference(self, flip: np.ndarray, a: int, b: int) -> np.ndarray:
        """Differences of the distances of a to each point and of b to that point's partner."""
        others = np.array([c not in (a, b, flip[a], flip[b]) for c in range(len(flip))])
        difference = np.abs(self._apart[a] - self._apart[b][flip])[others]
        return difference[np.isfinite(difference)]

    def _rivals(self, flip: np.ndarray, a: int, b: int) -> list[Pair]:
        """A point of the pair, and another whose partner has distances that are more alike."""
        found = []
        for point, partner in ((a, b), (b, a)):
            own = self._difference(flip, point, partner)
            others = [c for c in range(len(flip)) if c not in (a, b)]
            alike = [(self._difference(flip, point, int(flip[c])), c) for c in others]
            better = sorted(
                (float(each.mean()), c)
                for each, c in alike
                if len(each) and len(own) and each.mean() < own.mean()
            )
            found += [(point, c) for _, c in better[:RIVALS]]
        return found

    def _agreement(self, flip: np.ndarray, a: int, c: int) -> tuple[int, float]:
        """Poses that can be compared, and the share that fits better with the partners of a and c.

        The mirrored a and c are carried over, and lie nearer to their own partners or to each
        other's. With c the partner of a, the latter means that they do not swap.
        """
        b, d = int(flip[a]), int(flip[c])
        context = np.ones(len(flip))
        context[[a, b, c, d]] = 0
        mirrored = -self.points.conj()
        moving = mirrored[:, flip], self.labelled[:, flip]
        weights = self._resemblance(moving, context)
        weights = weights * (self.labelled[:, b] & self.labelled[:, d])
        near = np.nan_to_num(np.fmin(self._apart[b], self._apart[d]), nan=2.0)
        turn, shift, _ = self._align(moving, context / (near**2 + LOCAL**2))
        gain = np.zeros(len(self.points))
        for point, own, other in ((a, b, d), (c, d, b)):
            carried = turn * mirrored[:, [point]] + shift
            nearer = np.abs(carried - self.points[:, other]) ** 2
            nearer -= np.abs(carried - self.points[:, own]) ** 2
            gain += (nearer * weights).sum(axis=1) * self.labelled[:, point]
        used = (weights.sum(axis=1) > 0) & (self.labelled[:, a] | self.labelled[:, c])
        return int(used.sum()), float((gain[used] > 0).mean()) if used.any() else 0.5

    def _resemblance(
        self, moving: tuple[np.ndarray, np.ndarray], context: np.ndarray
    ) -> np.ndarray:
        """Weights (N, N) of the poses that mirrored ones resemble by the points of a context.

        0 for a mirrored pose that resembles others less than nearly all poses resemble each other.
        """
        own = self._align((self.points, self.labelled), context)[2]
        other = self._align(moving, context)[2]
        nearest = [_nearest(each) for each in (own, other)]
        usual = nearest[0][np.isfinite(nearest[0])]
        if not len(usual):
            return np.zeros_like(other)
        fits = nearest[1] <= np.quantile(usual, 0.9) + 1e-9
        scale = np.median(usual) / NEAREST + 1e-6
        return np.exp(-np.minimum(other / scale, 700)) * fits[:, None] * np.isfinite(other)

    def _align(
        self, moving: tuple[np.ndarray, np.ndarray], weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Turn and scale M poses onto the N, by least squares over K weighted points.

        Returns:
            Factors and shifts (M, N), and residuals, 0 to 1, infinite where too few points are
            labelled in both.
        """
        points, labelled = moving
        here, there = labelled * weights, self.labelled.astype(float)
        total = np.maximum(here @ there.T, 1e-12)
        ours, theirs = (points * here) @ there.T, here @ self.points.T
        spread = (np.abs(points) ** 2 * here) @ there.T - np.abs(ours) ** 2 / total
        aim = here @ (np.abs(self.points) ** 2).T - np.abs(theirs) ** 2 / total
        cross = (points.conj() * here) @ self.points.T - ours.conj() * theirs / total
        turn = cross / np.maximum(spread, 1e-12)
        residual = np.maximum(1 - np.abs(cross) ** 2 / np.maximum(spread * aim, 1e-12), 0)
        used = labelled * (weights > 0)
        count = used @ there.T
        least = np.maximum(2, MIN_SHARED * used.sum(axis=1))
        residual[count < least[:, None]] = np.inf
        np.fill_diagonal(residual, np.inf)
        return turn, (theirs - turn * ours) / total, residual


def _nearest(residual: np.ndarray) -> np.ndarray:
    """Sum (M,) of the residuals of the poses that are nearest."""
    return np.sort(residual, axis=1)[:, :NEAREST].sum(axis=1)


def _is_clear(count: int, share: float) -> bool:
    return count >= MIN_POSES and share >= CLEAR and (share - 0.5) * 2 * math.sqrt(count) >= ERRORS


def partners(pairs: Iterable[Pair], num_keypoints: int) -> np.ndarray:
    """Index (K,) of each point's partner, its own where it has none."""
    flip = np.arange(num_keypoints)
    for a, b in pairs:
        flip[a], flip[b] = b, a
    return flip


def without_contradicted(
    poses: LabelledPoses, pairs: Sequence[Pair], num_keypoints: int
) -> tuple[dict[Pair, Evidence], list[Pair]]:
    """Evidence on the pairs that stay, and those that the labels contradict, the clearest first.

    A wrong pair makes right ones look wrong too, so a part goes and the others are checked anew.
    """
    kept = list(pairs)
    contradicted: list[Pair] = []
    while True:
        flip = partners(kept, num_keypoints)
        found = {pair: poses.check(flip, pair) for pair in kept}
        wrong = [pair for pair in kept if found[pair].verdict == "contradicted"]
        if not wrong:
            return found, contradicted
        wrong.sort(key=lambda pair: (-found[pair].asymmetry, found[pair].share))
        contradicted += wrong[: max(1, len(wrong) // 6)]
        kept = [pair for pair in kept if pair not in contradicted]


def with_confirmed(
    poses: LabelledPoses, pairs: Sequence[Pair], candidates: Iterable[Pair], num_keypoints: int
) -> list[Pair]:
    """Candidates that the labels confirm beside the pairs that there are.

    They are checked together: one alone has the others against it. Of two that share a point the
    first is tried.
    """
    taken = {point for pair in pairs for point in pair}
    free: list[Pair] = []
    for pair in candidates:
        if taken.isdisjoint(pair):
            free.append(pair)
            taken.update(pair)
    found, _ = without_contradicted(poses, [*pairs, *free], num_keypoints)
    confirmed = [pair for pair in free if pair in found and found[pair].verdict == "confirmed"]
    if len(confirmed) in (0, len(free)):
        return confirmed
    return with_confirmed(poses, pairs, confirmed, num_keypoints)


def likely_pairs(poses: LabelledPoses, num_keypoints: int) -> list[Pair]:
    """Pairs of points whose distances to the others are more alike than to any third's."""
    alike = np.full((num_keypoints, num_keypoints), np.inf)
    for a in range(num_keypoints):
        for b in range(a + 1, num_keypoints):
            alike[a, b] = alike[b, a] = poses.likeness(a, b)
    best = alike.argmin(axis=1)
    return [(a, int(b)) for a, b in enumerate(best) if a < b and best[b] == a]
