"""Pictures as training sees them, or a sentence about what is wrong with the file."""

from __future__ import annotations

import os

import cv2
import numpy as np

from equikpt.datasets.film import is_dicom, read_film
from equikpt.datasets.image_checks import ListedImage, check_images, loaded_size_px

SAMPLE_BITS = (8, 10, 12, 14, 16)
"""Depths of cameras and scanners. A picture in 16 bits has the least of them that its brightest
value needs: one of 12 bits, of which only the upper 8 of 16 were kept, would be nearly black."""


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A picture as (H, W, 3) uint8, BGR, upright: what MMPose's ``LoadImage`` makes of the file.

    An EXIF orientation is applied, alpha is left out, gray and palettes become three channels. Of
    deeper pictures the upper 8 of the bits that are used are kept (``SAMPLE_BITS``), which for a
    picture that uses all 16 is what ``LoadImage`` does (to within 1). DICOM is read as a film.

    Raises:
        FileNotFoundError: No such file.
        OSError: A file that is no picture, is cut, or cannot be decoded.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FileNotFoundError(f"expected a picture at {name}, found no such file")
    if is_dicom(name):
        return read_film(name)
    _check_whole(name)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    pixels = cv2.imdecode(np.fromfile(name, np.uint8), flags)
    if pixels is None:
        raise OSError(f"expected a picture in {name}, OpenCV cannot decode it; export it as PNG")
    try:
        return as_picture(pixels)
    except ValueError as error:
        raise OSError(f"{name}: {error}") from error


def as_picture(pixels: np.ndarray) -> np.ndarray:
    """An array that holds a picture as (H, W, 3) uint8, BGR.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGR and alpha, uint8 or uint16.

    Raises:
        ValueError: Another shape or type.
    """
    pixels = np.asarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise ValueError(
            "expected a picture of shape (H, W), (H, W, 3) or (H, W, 4), got "
            f"{pixels.shape}; pass several pictures as a list"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected a picture of uint8 or uint16, got {pixels.dtype}; scale it to 0 to 255"
        )
    if pixels.dtype == np.uint16:
        pixels = _upper_bits(pixels)
    if channels == 1:
        return cv2.merge([pixels.reshape(pixels.shape[:2])] * 3)
    return np.ascontiguousarray(pixels[..., :3])


def _upper_bits(pixels: np.ndarray) -> np.ndarray:
    """The upper 8 of the bits that a uint16 picture uses, as uint8."""
    used = int(pixels.max()).bit_length()
    bits = next(bits for bits in SAMPLE_BITS if bits >= used)
    return (pixels >> (bits - 8)).astype(np.uint8)


def _check_whole(path: str) -> None:
    """Refuse a file that is no picture, or is cut: OpenCV fills the rest with gray."""
    try:
        listed = ListedImage(path, *loaded_size_px(path))
    except OSError as error:
        raise OSError(
            f"expected a picture in {path}, it is none or damaged ({_first_line(error)}); export "
            "it again"
        ) from error
    for finding in check_images([listed]):  # of the size it has, it can only be damaged
        reason = finding.offenders[0].removeprefix(f"{path}: ")
        raise OSError(
            f"expected a whole picture in {path}, it is damaged ({reason}); copy it again"
        )


def _first_line(error: OSError) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "not a picture" if "cannot identify image file" in text else text
