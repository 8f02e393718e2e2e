"""Keypoints that a data set has labels of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmpose.datasets.transforms import RandomFlip
from tqdm import tqdm

from equikpt.datasets.transforms.labels import labelled


def labelled_keypoints(dataset: Any) -> np.ndarray | None:
    """Tell of which keypoints a training on a data set has labels, (K,) bool.

    A pipeline that flips makes labels of either side from those of the other one.

    Args:
        dataset: Of MMPose's, with K keypoints, or MMEngine's wrappers around some.

    Returns:
        None where samples do not say it in K keypoints, as those that a wrapper converts from
        other sets.
    """
    metainfo = dataset.metainfo
    found = np.zeros(len(metainfo["sigmas"]), bool)
    for part, flips in _parts(dataset):
        if not hasattr(part, "get_data_info"):
            return None
        for index in tqdm(range(len(part)), "labels", delay=5, disable=None):
            info = part.get_data_info(index)
            if info.get("keypoints_visible") is None:  # an image without an instance
                continue
            has_label = labelled(info).any(axis=0)
            if has_label.shape != found.shape:
                return None
            found |= has_label
            if flips:
                found |= found[metainfo["flip_indices"]]
            if found.all():
                return found
    return found if found.any() else None


def _parts(dataset: Any, flips: bool = False) -> Iterator[tuple[Any, bool]]:
    """Data sets within wrappers, and if a pipeline around their samples flips."""
    steps = getattr(getattr(dataset, "pipeline", None), "transforms", ())
    flips = flips or any(isinstance(step, RandomFlip) and np.sum(step.prob) > 0 for step in steps)
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if inner == [None]:
        yield dataset, flips
        return
    for each in inner:
        yield from _parts(each, flips)
