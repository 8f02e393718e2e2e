"""Compare the keypoints of a head and of a checkpoint with those of a data set."""

from __future__ import annotations

import re
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
    found = ((name, getattr(head, name, None)) for name in COUNTS if getattr(head, "named", True))
    return next(((name, count) for name, count in found if isinstance(count, int)), None)


def check_keypoint_channels(model: Any, metainfo: Mapping[str, Any]) -> None:
    """Raise a ``ValueError`` if a pose estimator's head has another number of keypoints.

    Args:
        model: Pose estimator.
        metainfo: MMPose's parsed metainfo of the data set.
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


def describe_other_keypoints(checkpoint: Mapping[str, Any], metainfo: Mapping[str, Any]) -> str:
    """Name the keypoints that a checkpoint has under other names in the same number; mostly "".

    COCO's people and AP-10K's animals both have 17, so the weights of one fit a model of the other.

    Args:
        checkpoint: As MMEngine wrote it, with the metainfo of its data set, or any other.
        metainfo: MMPose's parsed metainfo of the data set.
    """
    meta = checkpoint.get("meta")
    trained = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    theirs, ours = (_names(each) for each in (trained, metainfo))
    differing = [
        f"{index} was {was} and is {now}"
        for index, (was, now) in enumerate(zip(theirs, ours, strict=False))
        if re.sub(r"[\W_]+", "_", was).casefold() != re.sub(r"[\W_]+", "_", now).casefold()
    ]
    if not differing or len(theirs) != len(ours):
        return ""
    first = ", ".join(differing[:3]) + (", …" if len(differing) > 3 else "")
    return (
        f"The checkpoint was trained on keypoints of other names or order ({first}): unless they "
        "were only renamed, give the config of its own keypoints"
    )


def _names(metainfo: Any) -> list[str]:
    names = metainfo.get("keypoint_id2name") if isinstance(metainfo, Mapping) else None
    return [str(names[index]) for index in sorted(names)] if isinstance(names, Mapping) else []
