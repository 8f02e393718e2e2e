"""Part of a data set that says how its images are read and its samples drawn."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.core.image import read_image, reader_of
from equikpt.datasets.transforms.labels import has_points, labelled, points_key
from equikpt.metainfo import read_keypoint_set
from equikpt_runtime.drawing import draw_instance

OWN_METAINFO = ("radiographs", "unnamed", "sigmas_source")
"""Keys beside MMPose's: images are radiographs; points are any number of unnamed things; where
sigmas come from."""


class Described:
    """Reading and drawing by the metainfo; a data set overrides what is different in it."""

    METAINFO: dict
    metainfo: dict

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        stated = metainfo or cls.METAINFO
        if not stated:
            raise ValueError(
                f"{cls.__name__} got no keypoint set; give metainfo=dict(from_file='keypoints.py')"
            )
        if os.path.isfile(stated.get("from_file", "")):  # otherwise MMPose seeks among its own
            stated = read_keypoint_set(stated["from_file"])
        own = {key: stated[key] for key in OWN_METAINFO if key in stated}
        if reads_radiographs := cls.METAINFO.get("radiographs"):
            own["radiographs"] = reads_radiographs
        elif own.get("radiographs"):
            raise ValueError(
                f"the keypoint set is of radiographs and {cls.__name__} reads photographs; give "
                "type='P1P2Dataset' and load by LoadRadiograph, or take radiographs out of the set"
            )
        return {**parse_pose_metainfo(copy.deepcopy(dict(stated))), **own}

    @classmethod
    def read_image(cls, path: str | os.PathLike) -> np.ndarray:
        """Read an image as training sees it, (H, W, 3) uint8, BGR."""
        return reader_of(cls.METAINFO)(path)

    def draw(self, sample: dict) -> np.ndarray:
        """Draw the labels of a sample that is not packed yet into its image, (H, W, 3), BGR."""
        image = np.ascontiguousarray(sample["img"])
        if not has_points(sample):
            return image
        visibility = sample.get("keypoints_visibility", 2 * labelled(sample))
        for points, visible in zip(sample[points_key(sample)], visibility, strict=True):
            image = draw_instance(image, points[:, :2], self.metainfo, visible)
        return image


def reader_for(dataset: type | object) -> Callable[[str | os.PathLike], np.ndarray]:
    """Return ``read_image`` of a data set or its class; MMPose's own have the package's."""
    return getattr(dataset, "read_image", read_image)


def draw_sample(dataset: BaseDataset, sample: dict) -> np.ndarray:
    """Draw a sample as its data set does; those of MMPose's own as :class:`Described`."""
    return getattr(type(dataset), "draw", Described.draw)(dataset, sample)
