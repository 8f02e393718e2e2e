"""MMPose's transforms with the same output in less time; arguments and their place are the same."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from mmpose.datasets.transforms import PackPoseInputs, RandomBBoxTransform, TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix
from scipy.special import ndtr, ndtri

MARGIN_PX = 3
"""Bilinear interpolation reads one px beside each point; the rest is for rounded coordinates."""

HANDED_ON = ("pixel_spacing_mm", "mark")
"""Keys of single data sets that go to the metric where a sample has them."""


@TRANSFORMS.register_module()
class FastRandomBBoxTransform(RandomBBoxTransform):
    """MMPose's ``RandomBBoxTransform``, with the same boxes from the same seed.

    The stock transform asks ``scipy.stats.truncnorm`` for four numbers a sample, which spends
    half a millisecond on checking its arguments. Here the same uniform numbers go through the
    inverse of the truncated normal distribution directly.
    """

    @staticmethod
    def _truncnorm(low: float = -1.0, high: float = 1.0, size: tuple = ()) -> np.ndarray:
        below, above = ndtr(low), ndtr(high)
        uniform = np.random.uniform(size=size)  # noqa: NPY002 - the state that MMEngine seeds
        return ndtri(below + (above - below) * uniform).astype(np.float32)


@TRANSFORMS.register_module()
class TopdownAffineCrop(TopdownAffine):
    """MMPose's ``TopdownAffine`` with the same output, without copying mirrored images.

    ``RandomFlip`` gives a view with negative strides, which OpenCV cannot read: ``warpAffine`` of
    it copies the whole image pixel by pixel, which takes several times as long as the warp. Here
    OpenCV mirrors the part that the output shows, and nothing else is copied.

    Raises:
        ValueError: A sample of several instances.
    """

    def transform(self, results: dict) -> dict | None:
        """Set ``img`` to the (h, w) input and ``transformed_keypoints``; keys as the stock ones."""
        if not isinstance(results["img"], np.ndarray):
            return super().transform(results)
        if len(results["bbox_center"]) != 1:
            raise ValueError(
                "expected one instance a sample for TopdownAffineCrop, got "
                f"{len(results['bbox_center'])}; use a data set with data_mode='topdown'"
            )
        width, height = self.input_size
        scale = self._fix_aspect_ratio(results["bbox_scale"], aspect_ratio=width / height)
        center = results["bbox_center"][0]
        rotation = results["bbox_rotation"][0] if "bbox_rotation" in results else 0.0
        matrix_of = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        matrix = matrix_of(center, scale[0], rotation, output_size=(width, height))
        results["img"] = warped(results["img"], matrix, (int(width), int(height)))
        results["bbox_scale"] = scale
        if results.get("keypoints") is None:  # what the stock transform puts in their place
            results["transformed_keypoints"] = np.zeros([])
            results["keypoints_visible"] = np.ones((1, 1, 1))
        else:
            points = results["keypoints"]
            moved = results.get("transformed_keypoints")
            moved = (points if moved is None else moved).copy()
            moved[..., :2] = cv2.transform(points[..., :2], matrix)
            results["transformed_keypoints"] = moved
        results.update(input_size=(width, height), input_center=center, input_scale=scale[0])
        return results


def warped(image: np.ndarray, matrix: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """``cv2.warpAffine`` (bilinear, black outside) that takes mirrored views as they are.

    Args:
        image: (H, W) or (H, W, C), of any strides.
        matrix: (2, 3) map from px of the image to px of the output.
        size_px: Width and height of the output.
    """
    upside_down, sideways = image.strides[0] < 0, image.strides[1] < 0
    if upside_down or sideways:
        # as large as the whole, so that the matrix stays: with another origin OpenCV's coordinates,
        # rounded to 1/32 px, would now and then be rounded to the other side
        region = needed_region(matrix, size_px, image.shape[:2])
        plain = image[region][:: -1 if upside_down else 1, :: -1 if sideways else 1]
        image = np.empty(image.shape, image.dtype)
        code = -1 if upside_down and sideways else 0 if upside_down else 1
        cv2.flip(plain, code, dst=image[region])
    return cv2.warpAffine(image, matrix, size_px, flags=cv2.INTER_LINEAR)


def needed_region(
    matrix: np.ndarray, size_px: tuple[int, int], shape: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of an image of ``shape`` that an output shows; at least one px."""
    width, height = size_px
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    inverse = cv2.invertAffineTransform(np.asarray(matrix, dtype=np.float64))
    source = corners @ inverse[:, :2].T + inverse[:, 2]
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(source.min(axis=0)) - MARGIN_PX, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(source.max(axis=0)) + MARGIN_PX, low + 1, limits).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


@TRANSFORMS.register_module()
class FastPackPoseInputs(PackPoseInputs):
    """MMPose's ``PackPoseInputs`` with the same output.

    - OpenCV takes the image's channels apart, which is an order faster than torch's copy of a
      permuted tensor.
    - ``raw_ann_info`` is handed over instead of copied: a data set makes it anew for each sample.
    - ``pixel_spacing_mm`` and ``mark`` are handed on where a sample has them.
    - ``visibility_labels`` (1, K) int64 of a sample of one instance are COCO's visibilities for
      ``VisibilityBranch``: 2 seen, 1 hidden, 0 labelled and not in the input, since a crop cut it
      off, -1 without a label.
    """

    def transform(self, results: dict) -> dict:
        """Pack into ``inputs`` (C, H, W) and ``data_samples``."""
        image = results.get("img")
        if not isinstance(image, np.ndarray) or image.ndim != 3:
            return super().transform(results)
        light = {key: value for key, value in results.items() if key != "raw_ann_info"}
        light["img"] = np.empty((1, 1, 3), np.uint8)
        packed = super().transform(light)
        planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
        cv2.split(image, list(planes))
        packed["inputs"] = torch.from_numpy(planes)
        for key in ("raw_ann_info", *HANDED_ON):
            if key in results and (key in HANDED_ON or key in self.meta_keys):
                packed["data_samples"].set_field(results[key], key, field_type="metainfo")
        if len(results.get("keypoints_visibility", ())) == 1:
            labels = np.array(results["keypoints_visibility"], np.int64)
            labels[(labels == 0) & ~np.asarray(results.get("keypoints_gone", False))] = -1
            packed["data_samples"].gt_instance_labels.visibility_labels = torch.from_numpy(labels)
        return packed
