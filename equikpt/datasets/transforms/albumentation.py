"""Albumentations 2.x in MMPose's pipeline, geometric transforms included."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import albumentations
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equikpt.datasets.transforms.albumentation_build import build, leaves
from equikpt.datasets.transforms.labels import (
    draw_seed,
    drop_points,
    has_points,
    hide_points,
    inside,
    is_cropped,
    points_key,
    swap_sides,
)

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
      transform become occluded (visibility 2 becomes 1) and stay trained, as in
      ``RandomOcclusion``.
    - **Left and right** are swapped where the map of the image has a negative determinant,
      whatever the transform is called.
    - **Random numbers** come from numpy's global state, one draw a call.

    Position: pixel and dropout transforms anywhere behind ``LoadImage``. Geometric ones
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
        ValueError: An unknown transform or argument, a transform that cannot keep points right, or
            a position in the pipeline where a geometric transform cannot stand.
    """

    def __init__(self, transforms: Sequence[Mapping]) -> None:
        if isinstance(transforms, (str, Mapping)) or not isinstance(transforms, Sequence):
            raise TypeError(
                "expected AlbumentationsV2(transforms=[dict(type='Name', ...), ...]), got "
                f"{transforms!r}; put the dicts into a list"
            )
        self.transforms = list(transforms)
        built = [build(config) for config in self.transforms]
        self.moves_points = any(
            isinstance(leaf, albumentations.DualTransform) for leaf in leaves(built)
        )
        params = albumentations.KeypointParams("xy", remove_invisible=False)
        self.compose = albumentations.Compose(
            built, keypoint_params=params if self.moves_points else None
        )

    def __reduce__(self) -> tuple:
        # Workers that are spawned get a pickle; the corrected classes inside cannot be pickled.
        return type(self), (self.transforms,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(transforms={self.transforms})"

    def transform(self, results: dict) -> dict:
        """Apply the transforms to one sample."""
        given = results["img"]
        if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.ndim != 3:
            raise TypeError(
                "expected one image (H, W, 3) of uint8 for AlbumentationsV2, got "
                f"{getattr(given, 'dtype', type(given).__name__)}; load it with "
                "LoadImage(to_float32=False)"
            )
        before = _positions(results) if self.moves_points else {}
        rows = np.vstack([np.empty((0, 2)), *before.values()]).astype(np.float32)
        flagged = np.hstack([rows, np.zeros((len(rows), 1), np.float32)])  # a hole sets the flag
        # One generator for the whole tree: Compose.set_random_seed would give every transform a
        # generator with the same seed, and all of one probability would act together.
        seed = draw_seed()
        self.compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        labels = dict(keypoints=flagged) if self.moves_points else {}
        out = self.compose(image=cv2.cvtColor(given, cv2.COLOR_BGR2RGB), **labels)
        image = out["image"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                "expected albumentations to return an image of 3 channels of uint8, got "
                f"{image.dtype} of shape {image.shape}; leave out what normalises or converts "
                f"it from {self.transforms}: the model's data_preprocessor does that"
            )
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if not self.moves_points:
            results["img"] = image
            return results
        moved = np.asarray(out["keypoints"], dtype=np.float32)
        if len(moved) != len(rows):
            raise ValueError(
                f"expected {len(rows)} points back from albumentations, got {len(moved)}; "
                f"one of {self.transforms} drops or copies points: leave it out"
            )
        unmoved = np.array_equal(moved[:, :2], rows) and image.shape == given.shape
        ends = np.cumsum([len(part) for part in before.values()])[:-1]
        after = dict(zip(before, np.split(moved[:, :2], ends), strict=True))
        factor = _area_factor(before["image"], after["image"])
        if not unmoved and not _move(results, after, image.shape[:2], factor):
            return results
        results["img"] = image
        if has_points(results):
            shape = results["keypoints"].shape[:2]
            covered = (moved[: np.prod(shape), 2] > 0).reshape(shape)
            hide_points(results, covered[:, results["flip_indices"]] if factor < 0 else covered)
        return results


def _positions(results: dict) -> dict[str, np.ndarray]:
    """Keypoints, and points on the borders of boxes and of the image, each (P, 2) in px.

    ``padded`` are the boxes that ``bbox_center`` and ``bbox_scale`` give.
    """
    if "keypoint_weights" in results:
        raise ValueError(
            "expected AlbumentationsV2 before GenerateTarget, got a sample whose targets are "
            "made; move it up in the pipeline"
        )
    height, width = results["img"].shape[:2]
    raw, nothing = {} if is_cropped(results) else results, np.empty((0, 2))
    points = results[points_key(results)] if has_points(results) else nothing
    center, half = raw.get("bbox_center", nothing), raw.get("bbox_scale", nothing) / 2
    boxes = dict(
        bbox=raw.get("bbox", np.empty((0, 4))),
        padded=np.hstack([center - half, center + half]),
        image=[[0, 0, width - 1, height - 1]],
    )
    parts = {"points": np.reshape(points, (-1, 2))}
    for name, corners in boxes.items():
        low, high = np.split(np.asarray(corners, np.float32)[:, None], 2, axis=-1)
        parts[name] = (low + BORDER_GRID * (high - low)).reshape(-1, 2)
    return parts


def _area_factor(before: np.ndarray, after: np.ndarray) -> float:
    """Determinant of the affine map nearest to that of the points: negative if it mirrors."""
    homogeneous = np.hstack([before.astype(float), np.ones((len(before), 1))])
    linear, *_ = np.linalg.lstsq(homogeneous, after.astype(float), rcond=None)
    return float(np.linalg.det(linear[:2]))


def _move(results: dict, after: dict, shape: tuple[int, int], factor: float) -> bool:
    """Write what has become of the positions; False leaves the sample, since no box is left."""
    height, width = shape
    if is_cropped(results):
        if (width, height) != tuple(results["input_size"]):
            raise ValueError(
                f"expected a crop of {results['input_size']} px behind TopdownAffine, got "
                f"{(width, height)}; put transforms that change the size before TopdownAffine"
            )
        results.pop("input_center", None)
        results.pop("input_scale", None)
    elif not _move_boxes(results, after, shape, factor):
        return False
    if has_points(results):
        key = points_key(results)
        points = after["points"].reshape(results[key].shape)
        results[key] = points.astype(results[key].dtype)
        drop_points(results, ~inside(points, width, height))
        if factor < 0:
            swap_sides(results)
    return True


def _move_boxes(results: dict, after: dict, shape: tuple[int, int], factor: float) -> bool:
    """Write the boxes, areas and sizes of a raw image; False where no box is left in it."""
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
    height, width = shape
    sides = {}
    for name in ("bbox", "padded"):
        border = after[name].reshape(-1, len(BORDER_GRID), 2)
        sides[name] = border.min(axis=1), border.max(axis=1)
    low, high = (np.clip(side, 0, [width - 1, height - 1]) for side in sides["bbox"])
    if len(low):
        if not (high - low > 1).all(axis=1).any():
            return False
        results["bbox"] = np.hstack([low, high]).astype(np.float32)
    low, high = sides["padded"]
    if len(low):
        results["bbox_center"] = ((low + high) / 2).astype(np.float32)
        results["bbox_scale"] = (high - low).astype(np.float32)
    results["img_shape"] = (height, width)
    if results.get("area") is not None:
        results["area"] = results["area"] * np.float32(abs(factor))
    if results.get("segmentation") is not None:
        results["segmentation"] = None
    return True
