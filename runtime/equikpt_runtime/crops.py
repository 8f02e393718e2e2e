"""Crops of boxes and whole images, as MMPose's pipelines make them, to the bit.

Lengths are px of the image but for ``size``, px of the model's input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

DEFAULT_PADDING = 1.25


class Crop(NamedTuple):
    """Part of an image that a model sees: the map of its px (2, 3), its middle and sides (2,)."""

    matrix: np.ndarray
    center: np.ndarray
    scale: np.ndarray


class Cropper:
    """Cuts the parts of images that a model takes.

    Args:
        size: Width and height of the model's input.
        rule: ``rule`` (box, whole or fit), ``padding`` and ``udp`` of the model's description.

    Source: MMPose's ``GetBBoxCenterScale``, ``TopdownAffine`` and ``BottomupResize``.
    """

    def __init__(self, size: tuple[int, int], rule: Mapping[str, Any]) -> None:
        self.size = (int(size[0]), int(size[1]))
        self.rule = rule["rule"]
        if self.rule not in ("box", "whole", "fit"):
            raise ValueError(
                f"expected one of the crops box, whole and fit, got {self.rule!r}; "
                "pip install --upgrade equikpt-runtime"
            )
        self.padding = float(rule.get("padding", DEFAULT_PADDING))
        self.udp = bool(rule.get("udp", False))

    def crop(self, shape: tuple[int, ...], box: np.ndarray) -> Crop:
        """Place the crop for a box (4,) in an image of shape (H, W, …)."""
        if self.rule == "fit":
            center, scale = _fitting(shape, self.size)
        else:
            box, aspect = np.asarray(box, np.float32), self.size[0] / self.size[1]
            (width, height), center = (box[2:] - box[:2]) * self.padding, (box[2:] + box[:2]) * 0.5
            wide = width > height * aspect
            sides = (width, width / aspect) if wide else (height * aspect, height)
            scale = np.array(sides, np.float32)
        matrix = _udp_matrix if self.udp else _matrix
        return Crop(matrix(center, scale, self.size), center, scale)

    def cut(self, image: np.ndarray, box: np.ndarray, out: np.ndarray) -> Crop:
        """Warp the crop of an image (H, W, 3) BGR into ``out`` (h, w, 3) RGB, uint8."""
        crop = self.crop(image.shape, box)
        cv2.warpAffine(image, crop.matrix, self.size, dst=out, flags=cv2.INTER_LINEAR)
        cv2.cvtColor(out, cv2.COLOR_BGR2RGB, dst=out)
        return crop

    def to_image(self, points: np.ndarray, crops: list[Crop]) -> np.ndarray:
        """Move points (N, …, 2) from the px of N crops to those of their images."""
        scale, corner = (
            np.reshape(each, (len(crops), *(1,) * (points.ndim - 2), 2))
            for each in (
                np.array([crop.scale for crop in crops], float),
                np.array([crop.center - 0.5 * crop.scale for crop in crops], float),
            )
        )
        return points / self.size * scale + corner

    def px_per_input_px(self, crops: list[Crop]) -> np.ndarray:
        """Sides (N,) of a px of the model's input in N crops."""
        return np.sqrt(np.prod(np.divide([crop.scale for crop in crops], self.size), axis=1))


def _fitting(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Middle and sides of a crop that the whole image just fits into, padded."""
    height, width = shape[:2]
    fitted = min(size[0], size[1] * (width / height)), min(size[1], size[0] / (width / height))
    scale = width * size[0] / fitted[0], height * size[1] / fitted[1]
    return np.array([width / 2, height / 2], np.float32), np.array(scale, np.float32)


def _udp_matrix(center: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    x, y = ((size[axis] - 1) / scale[axis] for axis in (0, 1))
    offset = 0.5 * scale - center
    return np.array([[x, 0, x * offset[0]], [0, y, y * offset[1]]], np.float32)


def _matrix(center: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    middle = np.array(size, np.float32) * np.float32(0.5)
    source, target = np.empty((3, 2), np.float32), np.empty((3, 2), np.float32)
    for points, at, half in ((source, center, scale[0] * 0.5), (target, middle, size[0] * 0.5)):
        points[0] = at
        points[1] = float(at[0]) - float(half), at[1]
        right = points[0] - points[1]
        points[2] = points[1] + np.array([-right[1], right[0]])
    return cv2.getAffineTransform(source, target)
