"""Lines on images and frames that got no keypoints, as :class:`.Predictor` refused them."""

from __future__ import annotations

from collections.abc import Sequence

from equikpt.structures.pose_instance import Instance


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


def format_refused_frames(refused: Sequence[tuple[float, str]], count: int) -> str:
    """State how many of ``count`` frames had instances without keypoints, and the first reason.

    Args:
        refused: Time in s and :func:`format_refusal` of each such frame, in their order.
        count: Number of frames.
    """
    time_s, reason = refused[0]
    return f"{len(refused)} of {count} frames, the first at {time_s:.2f} s: {reason}"
