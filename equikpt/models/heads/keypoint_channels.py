"""Compare the keypoints that a head gives with those of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

COUNTS = ("num_keypoints", "num_joints", "out_channels", "max_points")
"""Options of heads that set their number of keypoints; the first that a head has counts."""

PER_KEYPOINT = {"combined": 3}
"""Channels a keypoint by ``heatmap_type`` of UDP's codec: a disk and two offsets."""


def keypoint_count(head: Any) -> tuple[str, int] | None:
    """Name and value of the option that sets how many keypoints a head gives; None if none does.

    A head that points at any number of unnamed things has no such number.
    """
    if not getattr(head, "named", True):
        return None
    for name in COUNTS:
        count = getattr(head, name, None)
        if isinstance(count, int):
            return name, count
    return None


def check_keypoint_channels(model: Any, metainfo: Mapping[str, Any]) -> None:
    """Refuse a model whose head does not have the data set's number of keypoints.

    Args:
        model: Pose estimator.
        metainfo: MMPose's parsed metainfo of the data set.

    Raises:
        ValueError: The numbers differ.
    """
    head = getattr(model, "head", None)
    found, wanted = keypoint_count(head), metainfo.get("num_keypoints")
    if found is None or wanted is None:
        return
    name, count = found
    kind = getattr(getattr(head, "decoder", None), "heatmap_type", None)
    expected = wanted * (PER_KEYPOINT.get(str(kind), 1) if name == "out_channels" else 1)
    if count != expected:
        points = metainfo.get("keypoint_id2name", {}).values()
        first = ", ".join(islice(points, 3)) + (", …" if wanted > 3 else "")
        raise ValueError(
            f"expected a head for the {wanted} keypoints of the data set ({first}), but "
            f"{type(head).__name__} has {name}={count}: set model.head.{name}={expected}, or the "
            "data set's metainfo to that of the model's keypoints"
        )
