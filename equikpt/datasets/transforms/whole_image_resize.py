"""Whole images at the size of the model's input, with the points that lie in them."""

from __future__ import annotations

from typing import Any

import cv2
from mmpose.datasets.transforms import BottomupResize
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_warp_matrix


@TRANSFORMS.register_module()
class WholeImageResize(BottomupResize):
    """MMPose's ``BottomupResize`` that leaves what targets in validation need.

    Adds ``transformed_keypoints`` (N, K, 2), px of the input, beside ``keypoints``, px of the
    image, by which predictions are judged, and ``warp_mat``; ``img_shape`` stays that of the image,
    to which outlines of unlabelled people belong. Arguments are those of ``BottomupResize``.

    Raises:
        ValueError: ``use_udp``: MMPose's warp is then of another size than what it says.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.use_udp:
            raise ValueError("expected WholeImageResize without use_udp, got True; leave it out")

    def transform(self, results: dict) -> dict | None:
        """Resize the image and map its points."""
        img_shape = results["img_shape"]
        results = super().transform(results)
        results["img_shape"] = img_shape
        results["warp_mat"] = get_warp_matrix(
            results["input_center"], results["input_scale"], 0, results["input_size"]
        )
        if results.get("keypoints") is not None:
            points = cv2.transform(results["keypoints"][..., :2], results["warp_mat"])
            results["transformed_keypoints"] = points
        return results
