"""The model's input, cut out of an image that is mirrored only where it is needed."""

from __future__ import annotations

import cv2
import numpy as np
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

MARGIN_PX = 3
"""Bilinear interpolation reads one px beside each point; the rest is for rounded coordinates."""


@TRANSFORMS.register_module()
class TopdownAffineCrop(TopdownAffine):
    """MMPose's ``TopdownAffine`` with the same output, without copying mirrored images.

    ``RandomFlip`` gives a view with negative strides, which OpenCV cannot read: ``warpAffine`` of
    it copies the whole image pixel by pixel, which takes several times as long as the warp. Here
    OpenCV mirrors the part that the output shows, and nothing else is copied. An image that is
    not mirrored is warped as it is: to cut it first would save nothing.

    It stands where ``TopdownAffine`` does and takes its arguments.

    Raises:
        ValueError: on a sample of several instances.
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
        results["input_size"] = (width, height)
        results["input_center"] = center
        results["input_scale"] = scale[0]
        return results


def warped(image: np.ndarray, matrix: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """``cv2.warpAffine`` (bilinear, black outside) that takes mirrored views as they are.

    Args:
        image: (H, W) or (H, W, C), of any strides.
        matrix: (2, 3) map from px of the image to px of the output.
        size_px: Width and height of the output.
    """
    if min(image.strides[:2]) < 0:
        region = needed_region(matrix, size_px, image.shape[:2])
        image = _with_positive_strides(image, region)
    return cv2.warpAffine(image, matrix, size_px, flags=cv2.INTER_LINEAR)


def needed_region(
    matrix: np.ndarray, size_px: tuple[int, int], shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The part (left, top, right, bottom) of an image of ``shape`` that an output shows.

    At least one px of the image, so that there is something to warp where nothing is shown.
    """
    width, height = size_px
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], dtype=np.float64)
    inverse = cv2.invertAffineTransform(np.asarray(matrix, dtype=np.float64))
    source = corners @ inverse[:, :2].T + inverse[:, 2]
    limits = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(source.min(axis=0)) - MARGIN_PX, 0, limits - 1).astype(int)
    high = np.clip(np.ceil(source.max(axis=0)) + MARGIN_PX, low + 1, limits).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _with_positive_strides(view: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """An image as large as ``view`` with its pixels inside ``region``, and any outside.

    The size stays, so that the matrix does: with another origin OpenCV's coordinates, which are
    rounded to 1/32 px, would now and then be rounded to the other side.
    """
    left, top, right, bottom = region
    upside_down, sideways = view.strides[0] < 0, view.strides[1] < 0
    part = view[top:bottom, left:right]
    plain = part[:: -1 if upside_down else 1, :: -1 if sideways else 1]
    image = np.empty(view.shape, view.dtype)
    code = -1 if upside_down and sideways else 0 if upside_down else 1
    cv2.flip(plain, code, dst=image[top:bottom, left:right])
    return image
