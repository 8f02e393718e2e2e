"""Lines on images and frames that got no keypoints, as :class:`.Predictor` refused them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from equikpt_runtime.instance import Instance


def format_refusal(instances: Sequence[Instance]) -> str:
    """State the reason why instances of an image have no keypoints; empty where all have some.

    Of several it is that of the instance that is least like the training.
    """
    refused = [each for each in instances if each.refused]
    if not refused:
        return ""
    reason = max(refused, key=lambda each: each.novelty or 0.0).refused
    if len(instances) == 1:
        return reason
    return f"{len(refused)} of {len(instances)} boxes {reason}"


def refusal_lines(path: Path, instances: Sequence[Instance]) -> list[str]:
    """Name an image with its :func:`format_refusal`, in one line or none."""
    reason = format_refusal(instances)
    return [f"{path}: {reason}"] if reason else []


class RefusedFrames:
    """Counts the frames of a video that have instances without keypoints."""

    def __init__(self) -> None:
        self._count = self._refused = 0
        self._first = ""

    def add(self, instances: Sequence[Instance], time_s: float) -> None:
        """Add the next frame."""
        self._count += 1
        if reason := format_refusal(instances):
            self._refused += 1
            self._first = self._first or f"the first at {time_s:.2f} s: {reason}"

    def lines(self, path: Path) -> list[str]:
        """Name the video with the number of such frames and the first reason, in a line or none."""
        if not self._refused:
            return []
        return [f"{path}: {self._refused} of {self._count} frames, {self._first}"]
