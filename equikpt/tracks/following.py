"""Boxes of a video's frames from the poses of the frame before, so that the animals are followed.

An animal is lost where too few of its keypoints are sure or its pose is refused. Its box then moves
on with its velocity and grows until it is found again, and a detector, where there is one, looks.
Two boxes that have come upon one animal are noticed: one pose is kept, and the tracker says whose
it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from equikpt.data_tools.convert.boxes import box_around
from equikpt_runtime.boxes import box_iou, whole_image
from equikpt_runtime.clips import Frame
from equikpt_runtime.instance import Instance
from equikpt_runtime.tracking import MIN_COMMON, Tracker, TrackOptions, instance_oks

Detector = Callable[[np.ndarray], np.ndarray]
"""Function of an image (H, W, 3) uint8, BGR, to its boxes (N, 5) in px, with scores."""

MIN_SURE = 0.25
"""Least part of an animal's keypoints that are sure; with fewer it is lost."""
SAME_POSE = 0.8
"""OKS of two poses of one frame from which they are one animal's."""
SAME_BOX = 0.3
"""IoU of a detector's box and an expected one from which they are one animal's."""
LOOK_S = 1.0
"""Time between two looks of the detector for animals that are new."""
MAX_LOST_S = 1.0
"""Time that a lost animal keeps its number for."""
LOST_LOOK_S = 0.25
"""Time between two looks of the detector for an animal that is lost."""
GROWTH = 0.1
"""Growth of a lost animal's box in a frame, of its sides."""
MAX_GROWTH = 1.5
SHRINKAGE_S = 0.5
"""Time in which a box shrinks to the pose: a hoof that is unsure for a moment stays inside."""


@dataclass(frozen=True)
class FollowOptions:
    """Settings of :class:`Follower`.

    Args:
        min_score: Score from which a keypoint is sure.
        look_s: Time between two looks of the detector for animals that are new.
    """

    min_score: float = 0.2
    look_s: float = LOOK_S


@dataclass
class Lost:
    """Frames by what went wrong in them.

    Args:
        refused: With a pose that the model refused.
        unsure: With a pose of too few sure keypoints.
        merged: With two boxes upon one animal.
    """

    refused: int = 0
    unsure: int = 0
    merged: int = 0


class Follower:
    """Follows the animals of a video: :meth:`boxes` of a frame, then :meth:`take` its instances.

    Args:
        sigmas: (K,) fall-off constants of the keypoints.
        fps: Frames a second.
        by_hand: (N, 4) boxes of the first frame, px; none stands for the detector's, or for the
            whole image.
        detector: Finds boxes in an image; None where there is none.
        options: As named.
    """

    def __init__(
        self,
        sigmas: np.ndarray,
        fps: float,
        by_hand: np.ndarray | None = None,
        detector: Detector | None = None,
        options: FollowOptions | None = None,
    ) -> None:
        self.options = options or FollowOptions()
        self.lost = Lost()
        self._by_hand = by_hand
        self._detector = detector
        self._looked_s = -np.inf
        max_age = max(2, round(fps * MAX_LOST_S))
        options_ = TrackOptions(max_age=max_age, min_score=self.options.min_score)
        self._tracker = Tracker(sigmas, options_)
        self._sizes: dict[int, tuple[np.ndarray, float]] = {}
        """Sides (2,) of each animal's box, px, and the time that they are of, s."""

    def boxes(self, frame: Frame) -> np.ndarray:
        """Return the boxes (N, 4) to look in, px."""
        shape = frame.pixels.shape
        if self._by_hand is not None:
            boxes, self._by_hand = self._by_hand, None
            self._looked_s = frame.time_s
            return np.asarray(boxes, float)[:, :4]
        found, is_any_lost = [], False
        for instance, missed in self._tracker.expected(frame.time_s):
            box = self._box(instance, missed, frame.time_s, shape)
            is_any_lost |= missed > 0 or box is None
            if box is not None:
                found.append((box, missed))
        due_s = LOST_LOOK_S if is_any_lost else self.options.look_s
        if self._detector is not None:
            if frame.time_s - self._looked_s >= due_s:
                self._looked_s = frame.time_s
                found = _with_detected(found, self._detector(frame.pixels)[:, :4])
        elif not found and frame.time_s - self._looked_s >= LOST_LOOK_S:
            self._looked_s = frame.time_s
            found = [(whole_image(frame.pixels), 0)]
        return np.reshape([box for box, _ in found], (-1, 4)).astype(float)

    def take(self, instances: Sequence[Instance], time_s: float) -> list[Instance]:
        """Number the animals of a frame; those that are lost and doubles are left out."""
        refused = [each for each in instances if each.refused]
        sure = [each for each in instances if not each.refused and self._is_sure(each)]
        kept = self._singles(sure)
        self.lost.refused += bool(refused)
        self.lost.unsure += len(refused) + len(sure) < len(instances)
        self.lost.merged += len(kept) < len(sure)
        numbered = self._tracker(kept, time_s)
        for each in numbered:
            self._resize(each, time_s)
        return numbered

    def outlines(self, instances: Sequence[Instance]) -> list[np.ndarray]:
        """Return the sure keypoints (n, 2) of animals, px."""
        return [each.keypoints[self._sure(each)] for each in instances]

    def _sure(self, instance: Instance) -> np.ndarray:
        known = np.isfinite(instance.keypoints).all(axis=1)
        return known & (instance.scores >= self.options.min_score)

    def _is_sure(self, instance: Instance) -> bool:
        known = np.isfinite(instance.keypoints).all(axis=1)
        return int(self._sure(instance).sum()) >= max(MIN_COMMON, MIN_SURE * known.sum())

    def _singles(self, instances: Sequence[Instance]) -> list[Instance]:
        """The instances without those whose pose is that of a more certain one."""
        kept: list[Instance] = []
        for each in sorted(instances, key=lambda each: -float(np.mean(each.scores))):
            alike = (
                instance_oks(each, other, self._tracker.sigmas, self.options.min_score)
                for other in kept
            )
            if not any(similarity is not None and similarity >= SAME_POSE for similarity in alike):
                kept.append(each)
        return [each for each in instances if any(each is one for one in kept)]

    def _extent(self, instance: Instance) -> np.ndarray:
        """The corners (2, 2) of an animal's box, as labels' boxes lie around points, px."""
        sure = self._sure(instance)
        # the image's edge is minded later: what is outside now may come in
        far = 10**7
        box = box_around(instance.keypoints[sure] + far // 2, far, far)
        left, top, width, height = box or (0.0, 0.0, 1.0, 1.0)
        return np.array([[left, top], [left + width, top + height]]) - far // 2

    def _resize(self, instance: Instance, time_s: float) -> None:
        low, high = self._extent(instance)
        sides = high - low
        before, before_s = self._sizes.get(instance.track or 0, (sides, time_s))
        kept = np.exp(-(time_s - before_s) / SHRINKAGE_S)
        self._sizes[instance.track or 0] = (np.maximum(sides, before * kept), time_s)

    def _box(
        self, instance: Instance, missed: int, time_s: float, shape: tuple[int, ...]
    ) -> np.ndarray | None:
        """The box of an animal where it should be, inside the image; None where that is outside."""
        low, high = self._extent(instance)
        sides, _ = self._sizes[instance.track or 0]
        grown = min(1 + GROWTH * missed, MAX_GROWTH)
        half = grown * np.maximum(sides, high - low) / 2
        middle = (low + high) / 2
        ends = np.array(shape[1::-1], float) - 1
        low, high = (np.clip(each, 0, ends) for each in (middle - half, middle + half))
        is_inside = (high - low >= 2).all() and (high - low >= 0.2 * half).all()
        return np.concatenate([low, high]) if is_inside else None


def _with_detected(
    expected: list[tuple[np.ndarray, int]], detected: np.ndarray
) -> list[tuple[np.ndarray, int]]:
    """Expected boxes, of lost animals as detected, and the boxes of animals that are new."""
    found = list(expected)
    for box in detected:
        overlaps = [box_iou(box, other) for other, _ in found]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best < 0 or overlaps[best] < SAME_BOX:
            found.append((box, 0))
        elif found[best][1]:
            found[best] = (box, 0)
    return found
