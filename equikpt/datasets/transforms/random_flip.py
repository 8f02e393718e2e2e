"""Mirrored images."""

from __future__ import annotations

from mmpose.datasets.transforms import RandomFlip
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.labels import is_cropped, swap_sides


@TRANSFORMS.register_module()
class RandomFlipKeypoints(RandomFlip):
    """MMPose's ``RandomFlip`` that also keeps ``keypoints_visibility`` and ``bbox_rotation`` right.

    The stock transform swaps left and right in ``keypoints`` and ``keypoints_visible`` and mirrors
    ``bbox`` and ``bbox_center``; the 0/1/2 visibility would keep the old order. A crop that is
    already rotated (``bbox_rotation``) turns the other way, so that it shows the same part.

    It stands before ``TopdownAffine``: the stock transform leaves ``transformed_keypoints`` where
    they were. In a bottom-up pipeline it may stand behind ``BottomupRandomAffine`` where the input
    is square: the stock transform takes ``input_size`` for (height, width).

    Args:
        prob: See ``RandomFlip``.
        direction: See ``RandomFlip``.

    Raises:
        ValueError: on a sample that ``TopdownAffine`` has already cropped, or on a bottom-up input
            that is not square.
    """

    def transform(self, results: dict) -> dict:
        """Flip the sample or leave it; ``results["flip"]`` says which."""
        if is_cropped(results):
            raise ValueError(
                "expected RandomFlipKeypoints before TopdownAffine, got a sample that is already "
                "cropped; move it up in the pipeline"
            )
        width, height = results.get("input_size", (1, 1))
        if width != height:
            raise ValueError(
                "expected a square input for RandomFlipKeypoints behind a bottom-up transform, got "
                f"{width} x {height} px; make it square, or flip first"
            )
        results = super().transform(results)
        # A diagonal flip is half a turn: sides keep their names, and rotations their direction.
        if results["flip"] and results["flip_direction"] != "diagonal":
            if results.get("keypoints_visibility") is not None:
                swap_sides(results, keys=("keypoints_visibility",))
            if "bbox_rotation" in results:
                results["bbox_rotation"] = -results["bbox_rotation"]
        return results
