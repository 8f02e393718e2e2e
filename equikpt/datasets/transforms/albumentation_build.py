"""Albumentations 2.x transforms out of config dicts, checked and corrected.

Which geometric transforms move points exactly as they move the image was measured on
albumentations 2.0.8 with blobs painted at the points; the tables hold the result.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping

import albumentations
import cv2
import numpy as np
from albumentations.augmentations.dropout.transforms import BaseDropout

from equikpt.datasets.transforms.labels import inside

COMPOSES = ("OneOf", "RandomOrder", "Sequential", "SomeOf")

FLIPS = ("D4", "HorizontalFlip", "RandomRotate90", "SquareSymmetry", "Transpose", "VerticalFlip")
WARPS = ("Affine", "Perspective", "Rotate", "SafeRotate")
CROPS = ("CenterCrop", "Crop", "Pad", "PadIfNeeded", "RandomCrop", "RandomCropFromBorders")
DROPOUTS = ("CoarseDropout", "Erasing", "GridDropout", "XYMasking")
UNMOVED = ("Morphological", "NoOp", "PixelDropout")
RESIZING = ("LongestMaxSize", "RandomScale", "Resize", "SmallestMaxSize")
CROPPING_AND_RESIZING = ("CropAndPad", "RandomResizedCrop", "RandomSizedCrop")
USABLE = (*FLIPS, *WARPS, *CROPS, *DROPOUTS, *UNMOVED, *RESIZING, *CROPPING_AND_RESIZING)
"""Dual transforms whose points follow the image (error below 0.25 px), corrected or as they are."""

REFUSED = {
    "ElasticTransform": "its points are up to 1.5 px off the image",
    "GridDistortion": "it loses points",
    "GridElasticDeform": "its points do not follow the image",
    "OpticalDistortion": "its points are up to 2 px off the image",
    "PiecewiseAffine": "its points are up to 4 px off the image",
    "ThinPlateSpline": "it loses points",
    "RandomGridShuffle": "it tears the animal apart",
}
"""Dual transforms that cannot be used, and why; others that are in no table are refused as well."""

REFLECTING = (cv2.BORDER_REFLECT, cv2.BORDER_REFLECT_101, cv2.BORDER_WRAP)

VERSION = f"albumentations {albumentations.__version__}"


def build(config: Mapping) -> albumentations.BasicTransform | albumentations.BaseCompose:
    """Build what ``config`` describes, e.g. ``dict(type="GaussianBlur", p=0.1)``.

    Raises:
        TypeError: ``config`` is no dict with a ``type``.
        ValueError: A type or an argument that albumentations does not know, a value that it refuses
            or would change, or a transform that cannot keep the keypoints right.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        raise TypeError(
            "expected an albumentations transform as dict(type='Name', ...), got "
            f"{config!r}; give each transform its name in albumentations as type"
        )
    arguments = {key: value for key, value in config.items() if key != "type"}
    name = config["type"]
    cls = _find(name)
    accepted = [key for key in inspect.signature(cls).parameters if key != "strict"]
    for argument in set(arguments) - set(accepted):
        raise ValueError(
            f"expected an argument that {name} of {VERSION} takes, got {argument}; "
            f"{_did_you_mean(argument, accepted)}it takes {', '.join(accepted)}"
        )
    if name in COMPOSES:
        arguments["transforms"] = [build(child) for child in arguments.get("transforms") or ()]
        if not arguments["transforms"]:
            raise ValueError(f"expected {name}(transforms=[...]) with at least one transform")
    complaints: list = []  # they mean another transform than was asked for
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            transform = _corrected(name, cls)(**arguments)
        except (ValueError, TypeError) as error:
            complaints.append(error)
    complaints += [each.message for each in caught if issubclass(each.category, UserWarning)]
    if complaints:
        raise ValueError(
            f"expected arguments that {name} of {VERSION} takes as they are, got {arguments}; it "
            f"says: {' '.join(str(complaints[0]).split())}"
        )
    if getattr(transform, "targets_as_params", None):
        raise ValueError(
            f"expected a transform that needs nothing but the image, got {name}, which needs "
            f"{', '.join(transform.targets_as_params)}; take another one"
        )
    if getattr(transform, "border_mode", None) in REFLECTING and name in USABLE:
        raise ValueError(
            f"expected {name} with a border that shows nothing twice, got border_mode="
            f"{transform.border_mode}, which mirrors or repeats the animal without its labels; use "
            f"cv2.BORDER_CONSTANT ({cv2.BORDER_CONSTANT}) or cv2.BORDER_REPLICATE "
            f"({cv2.BORDER_REPLICATE})"
        )
    return transform


def _find(name: str) -> type:
    """Find the class of a transform that may be used."""
    classes = {key: cls for key, cls in vars(albumentations).items() if inspect.isclass(cls)}
    pixel = {
        key for key, cls in classes.items() if issubclass(cls, albumentations.ImageOnlyTransform)
    }
    names = sorted({*pixel, *USABLE, *COMPOSES} - {"ImageOnlyTransform"})
    if name in classes and name in names:
        return classes[name]
    if issubclass(classes.get(name, object), albumentations.BasicTransform):
        reason = REFUSED.get(name, "it needs more than an image with its points, or changes them")
        raise ValueError(
            f"expected a transform that keeps keypoints right, got {name}: {reason} in {VERSION}; "
            "take another one, such as Affine, Perspective or a crop"
        )
    hint = _did_you_mean(name, names) or "see the albumentations 2.x reference"
    raise ValueError(f"expected the name of a transform in {VERSION}, got {name!r}; {hint}")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}? " if close else ""


def leaves(transforms: list) -> Iterator[albumentations.BasicTransform]:
    """Walk over the transforms in a tree of composes."""
    for transform in transforms:
        if isinstance(transform, albumentations.BaseCompose):
            yield from leaves(transform.transforms)
        else:
            yield transform


class _Resizing(albumentations.DualTransform):
    """Resizing transforms whose points are scaled as cv2 scales the pixels.

    Albumentations scales x to s x, but the pixel at x goes to s (x + 0.5) - 0.5: for an image
    four times as large the points would be 1.5 px off. And s is not exactly the ratio of the sizes,
    which are whole numbers.
    """

    factors = (1.0, 1.0)

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        resized = super().apply(img, **params)
        # The image comes before its points, by the order of the arguments to the Compose
        self.factors = (resized.shape[1] / img.shape[1], resized.shape[0] / img.shape[0])
        return resized

    def apply_to_keypoints(self, keypoints: np.ndarray, **_: object) -> np.ndarray:
        moved = np.array(keypoints)
        moved[:, :2] = (moved[:, :2] + 0.5) * self.factors - 0.5
        return moved


class _AboutTheCorner(albumentations.DualTransform):
    """Crops that are resized: their scale is exact, its centre is not (see :class:`_Resizing`)."""

    def apply_to_keypoints(self, keypoints: np.ndarray, **params: object) -> np.ndarray:
        keypoints = np.array(keypoints)
        half = np.array([0.5, 0.5, *[0] * (keypoints.shape[1] - 2)], keypoints.dtype)
        return np.array(super().apply_to_keypoints(keypoints + half, **params)) - half


class _Hiding(albumentations.DualTransform):
    """Dropout transforms that set the last column of points in a hole to 1."""

    def apply_to_keypoints(
        self, keypoints: np.ndarray, holes: np.ndarray, **_: object
    ) -> np.ndarray:
        marked = np.array(keypoints)
        for x0, y0, x1, y1 in np.reshape(holes, (-1, 4)):
            marked[inside(marked[:, :2] - (x0, y0), x1 - x0, y1 - y0), -1] = 1
        return marked


@functools.cache
def _corrected(name: str, cls: type) -> type:
    """A subclass with the points put right where albumentations leaves them wrong."""
    mixins = ((_Resizing, name in RESIZING), (_AboutTheCorner, name in CROPPING_AND_RESIZING),
              (_Hiding, issubclass(cls, BaseDropout)))  # fmt: skip
    mixin = next((mixin for mixin, applies in mixins if applies), None)
    return type(cls)(name, (mixin, cls), {}) if mixin else cls
