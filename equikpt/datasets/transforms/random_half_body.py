"""Crops of one half of the animal."""

from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import RandomHalfBody
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import labelled


@TRANSFORMS.register_module()
class RandomHalfBodyCrop(RandomHalfBody):
    """Crop to the front or the hind half: a close-up, or an animal cut off by the frame.

    The choice of the half is that of MMPose's ``RandomHalfBody``; the halves are the metainfo's
    ``upper`` (front) and ``lower`` (hind) keypoints. Three things differ. The stock crop has its
    centre at the mean of the points, which for a quadruped lies by the head, so hooves are cut off:
    here the crop is centred on the points' box and holds all of them. Few points in line made a
    crop of width 0; here neither side gets shorter than ``min_size`` of the whole box. And both
    halves are equally likely by default, since a quadruped has no upper half to prefer.

    Points of the other half that the crop still shows stay trained: they are in the image and
    their labels are true. Points outside are dropped by ``DropOutsideKeypoints``.

    It stands after ``GetBBoxCenterScale`` and before ``TopdownAffine``.

    Args:
        min_total_keypoints: Labelled points that an animal needs.
        min_half_keypoints: Labelled points that a half needs.
        padding: Size of the crop as a multiple of the box of the half's points.
        prob: Probability of a crop, given enough points.
        front_prob: Probability of the front half, given that both halves have enough points.
        min_size: Shortest side of the crop, as a fraction of the same side of ``bbox_scale``.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        min_total_keypoints: int = 8,
        min_half_keypoints: int = 4,
        padding: float = 1.5,
        prob: float = 0.3,
        front_prob: float = 0.5,
        min_size: float = 0.3,
    ) -> None:
        for name, value in (("prob", prob), ("front_prob", front_prob), ("min_size", min_size)):
            if not 0 <= value <= 1:
                raise ValueError(f"expected RandomHalfBodyCrop({name}=...) in 0 to 1, got {value}")
        if padding < 1:
            raise ValueError(
                f"expected RandomHalfBodyCrop(padding=...) of at least 1, got {padding}; a smaller "
                "crop cuts off the half that it is made for"
            )
        super().__init__(
            min_total_keypoints=min_total_keypoints,
            min_upper_keypoints=min_half_keypoints,
            min_lower_keypoints=min_half_keypoints,
            padding=padding,
            prob=prob,
            upper_prioritized_prob=front_prob,
        )
        self.min_size = min_size

    def transform(self, results: dict) -> dict:
        """Set ``bbox_center`` (N, 2) and ``bbox_scale`` (N, 2) to the half's, or leave them."""
        halves = self._random_select_half_body(
            keypoints_visible=labelled(results).astype(np.float32),
            upper_body_ids=results["upper_body_ids"],
            lower_body_ids=results["lower_body_ids"],
        )
        center = results["bbox_center"].copy()
        scale = results["bbox_scale"].copy()
        for n, rows in enumerate(halves):
            if rows is None:
                continue
            points = results["keypoints"][n, rows]
            low, high = points.min(axis=0), points.max(axis=0)
            center[n] = (low + high) / 2
            scale[n] = np.maximum((high - low) * self.padding, scale[n] * self.min_size)
        results["bbox_center"], results["bbox_scale"] = center, scale
        return results
