"""Record, in a parsed metainfo, of the keypoints that had labels in training.

``trained_keypoints`` is a list of K bool. Checkpoints hold it in ``meta["dataset_meta"]``; a
metainfo without it says that all keypoints were trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

TRAINED = "trained_keypoints"


def trained_keypoints(metainfo: Mapping[str, Any]) -> np.ndarray:
    """Read the record of a metainfo, (K,) bool.

    >>> trained_keypoints(dict(sigmas=[0.05, 0.05])).tolist()
    [True, True]
    >>> trained_keypoints(dict(sigmas=[0.05, 0.05], trained_keypoints=[True, False])).tolist()
    [True, False]
    """
    return np.asarray(metainfo.get(TRAINED) or [True] * len(metainfo["sigmas"]), bool)


def record_trained(metainfo: dict[str, Any], trained: np.ndarray) -> None:
    """Write the record (K,) into a metainfo of K keypoints; none where all are trained."""
    metainfo.pop(TRAINED, None)
    if len(trained) == len(metainfo["sigmas"]) and not trained.all():
        metainfo[TRAINED] = np.asarray(trained, bool).tolist()


def recorded_in(checkpoint: Mapping[str, Any], count: int) -> np.ndarray:
    """Read the record of a checkpoint, (K,) bool; all where it has none of ``count`` keypoints.

    Args:
        checkpoint: As MMEngine wrote it, or any other.
        count: Number K of keypoints of its model.
    """
    found: Any = checkpoint
    for key in ("meta", "dataset_meta", TRAINED):
        found = found.get(key) if isinstance(found, Mapping) else None
    known = isinstance(found, list) and len(found) == count and any(found)
    return np.asarray(found if known else [True] * count, bool)


def untrained_names(metainfo: Mapping[str, Any]) -> list[str]:
    """List the names of the keypoints that had no label in training."""
    names = metainfo["keypoint_id2name"]
    return [names[index] for index in np.flatnonzero(~trained_keypoints(metainfo)).tolist()]
