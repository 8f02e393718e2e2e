"""MMPose's transforms where they go wrong on visibilities, quadrupeds or samples without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import xtcocotools.mask as coco_mask
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import (
    BottomupGetHeatmapMask,
    BottomupResize,
    GenerateTarget,
    RandomFlip,
    RandomHalfBody,
)
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_warp_matrix

from equikpt.datasets.transforms.labels import (
    drop_points,
    has_points,
    inside,
    is_cropped,
    labelled,
    points_key,
    require,
    swap_sides,
)


@TRANSFORMS.register_module()
class RandomFlipKeypoints(RandomFlip):
    """MMPose's ``RandomFlip`` that also keeps ``keypoints_visibility`` and ``bbox_rotation`` right.

    The stock transform swaps left and right in ``keypoints`` and ``keypoints_visible`` and mirrors
    ``bbox`` and ``bbox_center``; the 0/1/2 visibility would keep the old order. A crop that is
    already rotated (``bbox_rotation``) turns the other way, so that it shows the same part.

    It stands before ``TopdownAffine``: the stock transform leaves ``transformed_keypoints`` where
    they were. In a bottom-up pipeline it may stand behind ``BottomupRandomAffine`` where the input
    is square: the stock transform takes ``input_size`` for (height, width).

    Raises:
        ValueError: A sample that ``TopdownAffine`` has already cropped, or a bottom-up input that
            is not square.
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
            swap_sides(results, keys=("keypoints_visibility", "keypoints_gone"))
            if "bbox_rotation" in results:
                results["bbox_rotation"] = -results["bbox_rotation"]
        return results


@TRANSFORMS.register_module()
class RandomHalfBodyCrop(RandomHalfBody):
    """Crop to the front or the hind half: a near animal, or one cut off by the frame.

    The choice of the half is that of MMPose's ``RandomHalfBody``; the halves are the metainfo's
    ``upper`` (front) and ``lower`` (hind) keypoints. Three things differ. The stock crop has its
    centre at the mean of the points, which for a quadruped lies by the head, so hooves are cut off:
    here the crop is centred on the points' box and holds all of them. Few points in line made a
    crop of width 0; here neither side gets shorter than ``min_size`` of the whole box. And both
    halves are equally likely by default, since a quadruped has no upper half to prefer.

    Points of the other half that the crop still shows stay trained. Points outside are dropped by
    ``DropOutsideKeypoints``. It stands after ``GetBBoxCenterScale`` and before ``TopdownAffine``.

    Args:
        min_total_keypoints: Labelled points that an animal needs.
        min_half_keypoints: Labelled points that a half needs.
        padding: Size of the crop as a multiple of the box of the half's points.
        prob: Probability of a crop, given enough points.
        front_prob: Probability of the front half, given that both halves have enough points.
        min_size: Shortest side of the crop, as a fraction of the same side of ``bbox_scale``.

    Raises:
        ValueError: An argument out of its range.
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
            require(self, 0 <= value <= 1, f"{name} in 0 to 1", **{name: value})
        require(self, padding >= 1, "padding of at least 1, which holds the half", padding=padding)
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
        center, scale = results["bbox_center"].copy(), results["bbox_scale"].copy()
        for n, rows in enumerate(halves):
            if rows is not None:
                points = results["keypoints"][n, rows]
                low, high = points.min(axis=0), points.max(axis=0)
                center[n] = (low + high) / 2
                scale[n] = np.maximum((high - low) * self.padding, scale[n] * self.min_size)
        results["bbox_center"], results["bbox_scale"] = center, scale
        return results


@TRANSFORMS.register_module()
class DropOutsideKeypoints(BaseTransform):
    """Take points outside the image out of training; behind ``TopdownAffine``.

    MMPose's codecs train a point as long as three sigmas of its Gaussian reach into the image: 24
    px beyond the border for heatmaps of stride 4 and sigma 2. That teaches the model to point at
    the border when the thing itself is not there.
    """

    def transform(self, results: dict) -> dict:
        """Set ``keypoints_visible`` and ``keypoints_visibility`` of lost points to 0."""
        if has_points(results):
            height, width = results["img"].shape[:2]
            drop_points(results, ~inside(results[points_key(results)], width, height))
        return results


@TRANSFORMS.register_module()
class WholeImageResize(BottomupResize):
    """MMPose's ``BottomupResize`` that leaves what targets in validation need.

    Adds ``transformed_keypoints`` (N, K, 2), px of the input, beside ``keypoints``, px of the
    image, by which predictions are judged, and ``warp_mat``; ``img_shape`` stays that of the image,
    to which outlines of unlabelled people belong.

    Raises:
        ValueError: ``use_udp``: MMPose's warp is then of another size than what it says.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        require(self, not self.use_udp, "use_udp=False", use_udp=self.use_udp)

    def transform(self, results: dict) -> dict | None:
        """Resize the image and map its points."""
        img_shape = results["img_shape"]
        results = super().transform(results)
        matrix = get_warp_matrix(
            results["input_center"], results["input_scale"], 0, results["input_size"]
        )
        results.update(img_shape=img_shape, warp_mat=matrix)
        if results.get("keypoints") is not None:
            points = cv2.transform(results["keypoints"][..., :2], matrix)
            results["transformed_keypoints"] = points
        return results


@TRANSFORMS.register_module()
class MaskUnlabelled(BottomupGetHeatmapMask):
    """MMPose's ``BottomupGetHeatmapMask`` that masks crowds too; behind ``GenerateTarget``.

    ``heatmap_mask`` (H, W) is False where a person without labelled keypoints is, or a crowd: the
    heatmap there is neither right nor wrong. The stock transform leaves out crowds, whose outline
    COCO gives as run lengths and not as polygons.
    """

    def _segs_to_mask(self, segs: Sequence, img_shape: tuple[int, int]) -> np.ndarray:
        """(H, W) uint8, 1 inside any of the outlines: polygons, or run lengths as COCO has them."""
        mask = super()._segs_to_mask([seg for seg in segs if not isinstance(seg, dict)], img_shape)
        for seg in segs:
            if isinstance(seg, dict):
                mask = np.maximum(mask, coco_mask.decode(coco_mask.frPyObjects(seg, *seg["size"])))
        return mask


@TRANSFORMS.register_module()
class GenerateValTarget(GenerateTarget):
    """MMPose's ``GenerateTarget`` that leaves samples without labels as they are.

    Samples of ``bbox_file``, a detector's boxes, carry invented keypoints at (0, 0) that count as
    visible: a loss of those would mean nothing.
    """

    def transform(self, results: dict) -> dict | None:
        """Add the encoder's targets to a labelled sample."""
        return super().transform(results) if results.get("raw_ann_info") else results
