"""Albumentations 2.x in MMPose's pipeline, geometric transforms included."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import albumentations
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms import albumentation_build
from equikpt.datasets.transforms.labels import (
    drop_points,
    has_points,
    hide_points,
    inside,
    is_cropped,
    points_key,
    swap_sides,
)
from equikpt.datasets.transforms.randomness import draw_seed

BORDER_GRID = np.array(
    [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]], dtype=np.float32
)
"""Corners and middles of the sides of a unit box: a moved box is the box around them."""


@TRANSFORMS.register_module()
class AlbumentationsV2(BaseTransform):
    """Apply albumentations 2.x transforms to the image and to everything that is labelled in it.

    MMPose's own ``Albumentation`` needs albumentations 1.x and moves the image only.

    - **Arguments** are checked when the pipeline is built. Albumentations merely warns about an
      unknown or renamed argument and goes on without it; here that is an error.
    - **Colours**: MMPose's images are BGR. They are turned to RGB and back, so that hue and
      saturation mean what they say.
    - **Points** follow geometric transforms. Those that leave the image get
      ``keypoints_visible`` and ``keypoints_visibility`` 0; those under a hole of a dropout
      transform become hidden (visibility 2 becomes 1) and stay trained, as in ``RandomOcclusion``.
    - **Left and right** are swapped where the map of the image has a negative determinant,
      whatever the transform is called.
    - **Random numbers** come from numpy's global state, one draw a call.

    Where it may stand: pixel and dropout transforms anywhere behind ``LoadImage``. Geometric ones
    either before ``RandomBBoxTransform``, where they move ``keypoints``, ``bbox``, ``bbox_center``
    and ``bbox_scale`` of the raw image (a sample whose boxes all leave the image stays as it
    was), or between ``TopdownAffine`` and ``GenerateTarget``, where they move
    ``transformed_keypoints`` and must keep the size of the input. In the second case
    ``input_center`` and ``input_scale`` are deleted, since they no longer lead back to the image.
    Geometric transforms are for training: predictions on moved images cannot be compared with
    ``raw_ann_info``.

    Args:
        transforms: Dicts with ``type``, the name in albumentations, and its arguments. ``OneOf``,
            ``SomeOf``, ``Sequential`` and ``RandomOrder`` take ``transforms``, a list of such
            dicts.

    Raises:
        TypeError: ``transforms`` is no list of dicts, or the image is no uint8 array.
        ValueError: an unknown transform or argument, a transform that cannot keep points right, or
            a place in the pipeline where a geometric transform cannot stand.
    """

    def __init__(self, transforms: Sequence[Mapping]) -> None:
        if isinstance(transforms, (str, Mapping)) or not isinstance(transforms, Sequence):
            raise TypeError(
                "expected AlbumentationsV2(transforms=[dict(type='Name', ...), ...]), got "
                f"{transforms!r}; put the dicts into a list"
            )
        self.transforms = list(transforms)
        built = [albumentation_build.build(config) for config in self.transforms]
        self.moves_points = any(
            isinstance(leaf, albumentations.DualTransform)
            for leaf in albumentation_build.leaves(built)
        )
        params = albumentations.KeypointParams("xy", remove_invisible=False)
        self.compose = albumentations.Compose(
            built, keypoint_params=params if self.moves_points else None
        )

    def __reduce__(self) -> tuple:
        # Workers that are spawned get a pickle; the corrected classes inside cannot be pickled.
        return type(self), (self.transforms,)

    def transform(self, results: dict) -> dict:
        """Apply the transforms to one sample."""
        image = _rgb(results)
        self._reseed()
        if not self.moves_points:
            results["img"] = self._bgr(self.compose(image=image)["image"])
            return results
        if "keypoint_weights" in results:
            raise ValueError(
                "expected AlbumentationsV2 before GenerateTarget, got a sample whose targets are "
                "made; move it up in the pipeline"
            )
        carried = _Carried.of(results)
        out = self.compose(image=image, keypoints=carried.rows)
        rows = np.asarray(out["keypoints"], dtype=np.float32)
        if len(rows) != len(carried.rows):
            raise ValueError(
                f"expected {len(carried.rows)} points back from albumentations, got {len(rows)}; "
                f"one of {self.transforms} drops or copies points: leave it out"
            )
        carried.write_back(results, rows, self._bgr(out["image"]))
        return results

    def _reseed(self) -> None:
        """Seed albumentations from numpy's global state.

        One generator for the whole tree: ``Compose.set_random_seed`` would give every transform a
        generator with the same seed, and all transforms of one probability would act together.
        """
        seed = draw_seed()
        self.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))

    def _bgr(self, image: np.ndarray) -> np.ndarray:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                "expected albumentations to return an image of 3 channels of uint8, got "
                f"{image.dtype} of shape {image.shape}; leave out what normalises or converts "
                f"it from {self.transforms}: the model's data_preprocessor does that"
            )
        return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(transforms={self.transforms})"


def _rgb(results: dict) -> np.ndarray:
    image = results["img"]
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(
            f"expected one image (H, W, 3) of uint8 for AlbumentationsV2, got {kind}; load it "
            "with LoadImage(to_float32=False)"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@dataclass
class _Carried:
    """All positions of a sample as rows (P, 3) of x, y and a flag that a hole may set.

    The rows are, in this order: the keypoints, the borders of ``bbox``, the borders of the boxes
    that ``bbox_center`` and ``bbox_scale`` give, and the corners of the image.
    """

    rows: np.ndarray
    num_keypoints: int
    """N x K, or 0 for a sample without labels."""
    num_boxes: int
    num_padded_boxes: int

    @classmethod
    def of(cls, results: dict) -> _Carried:
        height, width = results["img"].shape[:2]
        points = results[points_key(results)] if has_points(results) else np.empty((0, 2))
        boxes, padded = np.empty((0, 4)), np.empty((0, 4))
        if not is_cropped(results):
            boxes = results.get("bbox", boxes)
            if "bbox_center" in results:
                half = results["bbox_scale"] / 2
                padded = np.hstack([results["bbox_center"] - half, results["bbox_center"] + half])
        parts = [
            np.reshape(points, (-1, 2)),
            _border(boxes),
            _border(padded),
            _border(np.array([[0, 0, width - 1, height - 1]])),
        ]
        xy = np.vstack(parts).astype(np.float32)
        rows = np.hstack([xy, np.zeros((len(xy), 1), np.float32)])
        return cls(rows, len(parts[0]), len(boxes), len(padded))

    def write_back(self, results: dict, rows: np.ndarray, image: np.ndarray) -> None:
        """Take over the image and what has become of the rows."""
        unmoved = np.array_equal(rows[:, :2], self.rows[:, :2])
        if unmoved and image.shape == results["img"].shape:
            results["img"] = image
        elif is_cropped(results):
            self._move_crop(results, rows, image)
        elif not self._move_raw(results, rows, image):
            return
        if self.num_keypoints:
            covered = rows[: self.num_keypoints, 2] > 0
            if self._mirrored(rows):
                covered = covered.reshape(results["keypoints"].shape[:2])
                covered = covered[:, results["flip_indices"]]
            hide_points(results, covered.reshape(results["keypoints"].shape[:2]))

    def _move_crop(self, results: dict, rows: np.ndarray, image: np.ndarray) -> None:
        width, height = results["input_size"]
        if image.shape[:2] != (height, width):
            raise ValueError(
                f"expected a crop of {width} x {height} px behind TopdownAffine, got "
                f"{image.shape[1]} x {image.shape[0]} px; put transforms that change the size "
                "before TopdownAffine"
            )
        results["img"] = image
        self._move_points(results, rows)
        results.pop("input_center", None)
        results.pop("input_scale", None)

    def _move_raw(self, results: dict, rows: np.ndarray, image: np.ndarray) -> bool:
        """Move the sample; False leaves it as it was, since no instance is left."""
        _check_movable(results)
        height, width = image.shape[:2]
        boxes, padded = self._boxes(rows)
        boxes = np.clip(boxes, 0, [width - 1, height - 1, width - 1, height - 1])
        left = (boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)
        if self.num_boxes and not left.any():
            return False
        results["img"] = image
        results["img_shape"] = (height, width)
        if self.num_boxes:
            results["bbox"] = boxes.astype(np.float32)
        if self.num_padded_boxes:
            results["bbox_center"] = ((padded[:, :2] + padded[:, 2:]) / 2).astype(np.float32)
            results["bbox_scale"] = (padded[:, 2:] - padded[:, :2]).astype(np.float32)
        self._move_points(results, rows)
        if results.get("area") is not None:
            results["area"] = results["area"] * np.float32(abs(self._determinant(rows)))
        if results.get("segmentation") is not None:
            results["segmentation"] = None
        return True

    def _move_points(self, results: dict, rows: np.ndarray) -> None:
        if not self.num_keypoints:
            return
        key = points_key(results)
        points = rows[: self.num_keypoints, :2].reshape(results[key].shape)
        results[key] = points.astype(results[key].dtype)
        height, width = results["img"].shape[:2]
        drop_points(results, ~inside(points, width, height))
        if self._mirrored(rows):
            swap_sides(results)

    def _boxes(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The boxes (x1, y1, x2, y2) around the moved borders: of ``bbox``, of the padded box."""
        first = self.num_keypoints
        borders = rows[first:, :2].reshape(-1, len(BORDER_GRID), 2)[:-1]
        boxes = np.hstack([borders.min(axis=1), borders.max(axis=1)])
        return boxes[: self.num_boxes], boxes[self.num_boxes :]

    def _determinant(self, rows: np.ndarray) -> float:
        """Area of the map, negative if it mirrors: of the affine map nearest to it."""
        before, after = (part[-len(BORDER_GRID) :, :2].astype(float) for part in (self.rows, rows))
        ones = np.ones((len(BORDER_GRID), 1))
        linear, *_ = np.linalg.lstsq(np.hstack([before, ones]), after, rcond=None)
        return float(np.linalg.det(linear[:2]))

    def _mirrored(self, rows: np.ndarray) -> bool:
        return self._determinant(rows) < 0


def _border(boxes: np.ndarray) -> np.ndarray:
    """(N * 8, 2) points on the borders of ``boxes`` (N, 4)."""
    boxes = np.asarray(boxes, dtype=np.float32)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return (low + BORDER_GRID * (high - low)).reshape(-1, 2)


def _check_movable(results: dict) -> None:
    if np.any(results.get("bbox_rotation", 0)):
        raise ValueError(
            "expected geometric transforms before RandomBBoxTransform or after TopdownAffine, got "
            "a sample with a rotated bbox; move AlbumentationsV2 in the pipeline"
        )
    for key in ("img_mask", "invalid_segs"):
        if results.get(key) is not None:
            raise ValueError(
                f"expected a top-down sample for geometric transforms, got one with {key}; use "
                "pixel transforms only in a bottom-up pipeline"
            )
