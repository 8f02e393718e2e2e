"""Points that the crop has lost."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import drop_points, has_points, inside, points_key


@TRANSFORMS.register_module()
class DropOutsideKeypoints(BaseTransform):
    """Take points outside the image out of training.

    MMPose's codecs train a point as long as three sigmas of its Gaussian reach into the image: 24
    px beyond the border for heatmaps of stride 4 and sigma 2. That teaches the model to point at
    the border when the thing itself is not there.

    It stands after ``TopdownAffine``, in training only.
    """

    def transform(self, results: dict) -> dict:
        """Set ``keypoints_visible`` and ``keypoints_visibility`` of lost points to 0."""
        if has_points(results):
            height, width = results["img"].shape[:2]
            drop_points(results, ~inside(results[points_key(results)], width, height))
        return results
