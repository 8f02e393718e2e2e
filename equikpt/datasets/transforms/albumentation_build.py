"""Albumentations 2.x transforms out of config dicts, checked and corrected.

Which geometric transforms move points exactly as they move the image was measured on
albumentations 2.0.8 with blobs painted at the points; the tables below hold the result.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import warnings
from collections.abc import Iterator, Mapping

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
EXACT = (*FLIPS, *WARPS, *CROPS, *DROPOUTS, *UNMOVED)
"""Dual transforms whose points follow the image (error below 0.25 px)."""

RESIZING = ("LongestMaxSize", "RandomScale", "Resize", "SmallestMaxSize")
CROPPING_AND_RESIZING = ("CropAndPad", "RandomResizedCrop", "RandomSizedCrop")
"""Dual transforms whose points need a correction: :func:`_resizing`, :func:`_about_the_corner`."""

USABLE = (*EXACT, *RESIZING, *CROPPING_AND_RESIZING)

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


def build(config: Mapping) -> albumentations.BasicTransform | albumentations.BaseCompose:
    """The transform that ``config`` describes, e.g. ``dict(type="GaussianBlur", p=0.1)``.

    ``OneOf``, ``SomeOf``, ``Sequential`` and ``RandomOrder`` take ``transforms``, a list of such
    dicts.

    Raises:
        TypeError: ``config`` is no dict with a ``type``.
        ValueError: a type or an argument that albumentations does not know, a value that it refuses
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
    _check_names(name, cls, arguments)
    if name in COMPOSES:
        arguments["transforms"] = [build(child) for child in arguments.get("transforms") or ()]
        if not arguments["transforms"]:
            raise ValueError(f"expected {name}(transforms=[...]) with at least one transform")
    transform = _construct(name, _corrected(name, cls), arguments)
    _check_usable(name, transform)
    return transform


def leaves(transforms: list) -> Iterator[albumentations.BasicTransform]:
    """The transforms in a tree of composes."""
    for transform in transforms:
        if isinstance(transform, albumentations.BaseCompose):
            yield from leaves(transform.transforms)
        else:
            yield transform


def _names() -> list[str]:
    """The names that may stand as ``type``."""
    pixel = [
        name
        for name, cls in vars(albumentations).items()
        if inspect.isclass(cls) and issubclass(cls, albumentations.ImageOnlyTransform)
    ]
    return sorted({*pixel, *USABLE, *COMPOSES} - {"ImageOnlyTransform"})


def _find(name: str) -> type:
    cls = getattr(albumentations, name, None)
    names = _names()
    if inspect.isclass(cls) and name in names:
        return cls
    if inspect.isclass(cls) and issubclass(cls, albumentations.BasicTransform):
        reason = REFUSED.get(name, "it needs more than an image with its points, or changes them")
        raise ValueError(
            f"expected a transform that keeps keypoints right, got {name}: {reason} in "
            f"albumentations {albumentations.__version__}; take another one, such as Affine, "
            "Perspective or a crop"
        )
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(close)}?" if close else "see the albumentations 2.x reference"
    )
    raise ValueError(
        f"expected the name of a transform in albumentations {albumentations.__version__}, got "
        f"{name!r}; {hint}"
    )


def _check_names(name: str, cls: type, arguments: dict) -> None:
    """Albumentations 2.x only warns about an argument that it does not know, and leaves it out."""
    accepted = [key for key in inspect.signature(cls).parameters if key != "strict"]
    for argument in arguments:
        if argument not in accepted:
            close = difflib.get_close_matches(argument, accepted, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise ValueError(
                f"expected an argument that {name} of albumentations {albumentations.__version__} "
                f"takes, got {argument}; {hint}it takes {', '.join(accepted)}"
            )


def _construct(
    name: str, cls: type, arguments: dict
) -> albumentations.BasicTransform | albumentations.BaseCompose:
    """Whatever albumentations says while it builds the transform means another one than asked."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            transform = cls(**arguments)
        except (ValueError, TypeError) as error:
            raise _refusal(name, arguments, error) from error
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            raise _refusal(name, arguments, warning.message)
    return transform


def _refusal(name: str, arguments: dict, complaint: Warning | Exception | str) -> ValueError:
    return ValueError(
        f"expected arguments that {name} of albumentations {albumentations.__version__} takes as "
        f"they are, got {arguments}; it says: {' '.join(str(complaint).split())}"
    )


def _check_usable(
    name: str, transform: albumentations.BasicTransform | albumentations.BaseCompose
) -> None:
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


@functools.cache
def _corrected(name: str, cls: type) -> type:
    """A subclass with the points put right where albumentations leaves them wrong."""
    if name in RESIZING:
        return _resizing(cls)
    if name in CROPPING_AND_RESIZING:
        return _about_the_corner(cls)
    if issubclass(cls, BaseDropout):
        return _hiding(cls)
    return cls


def _resizing(cls: type) -> type:
    """Resizing transforms whose points are scaled as cv2 scales the pixels.

    Albumentations scales x to s x, but the pixel at x goes to s (x + 0.5) - 0.5: for an image
    four times as large the points would be 1.5 px off. And s is not exactly the ratio of the sizes,
    which are whole numbers.
    """

    class Resizing(cls):
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

    return Resizing


def _about_the_corner(cls: type) -> type:
    """Crops that are resized: their scale is exact, its centre is not (see :func:`_resizing`)."""

    class CroppingAndResizing(cls):
        def apply_to_keypoints(self, keypoints: np.ndarray, **params: object) -> np.ndarray:
            shifted = np.array(keypoints)
            shifted[:, :2] += 0.5
            moved = np.array(super().apply_to_keypoints(shifted, **params))
            moved[:, :2] -= 0.5
            return moved

    return CroppingAndResizing


def _hiding(cls: type) -> type:
    """Dropout transforms that set the last column of points in a hole to 1."""

    class Hiding(cls):
        def apply_to_keypoints(
            self, keypoints: np.ndarray, holes: np.ndarray, **_: object
        ) -> np.ndarray:
            marked = np.array(keypoints)
            for x0, y0, x1, y1 in np.reshape(holes, (-1, 4)):
                marked[inside(marked[:, :2] - (x0, y0), x1 - x0, y1 - y0), -1] = 1
            return marked

    return Hiding
