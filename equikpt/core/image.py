"""Images as training sees them, or a sentence about what is wrong with the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from equikpt.core.errors import sentence
from equikpt.core.image_decoding import ImageError, decode, decode_bytes
from equikpt.core.radiograph import is_dicom, read_radiograph

Path = TypeVar("Path")
Result = TypeVar("Result")

SAMPLE_BITS = (8, 10, 12, 14, 16)
"""Depths of cameras and scanners. An image in 16 bits has the least of them that its brightest
value needs: one of 12 bits, of which only the upper 8 of 16 were kept, would be nearly black."""


class Depth(NamedTuple):
    """Bits a channel of an image: of the file, 8 or 16, and those of ``SAMPLE_BITS`` it uses."""

    stored: int
    used: int


def reader_of(metainfo: Mapping) -> Callable[[str | os.PathLike], np.ndarray]:
    """:func:`~equikpt.core.radiograph.read_radiograph` where a metainfo says ``radiographs``.

    :func:`read_image` elsewhere.
    """
    return read_radiograph if metainfo.get("radiographs") else read_image


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read an image as (H, W, 3) uint8, BGR, upright, for training as for everything else.

    An EXIF orientation is applied, alpha is left out, gray and palettes become three channels. Of
    deeper images the upper 8 of the bits that are used are kept (``SAMPLE_BITS``). Of those of 8
    bits it is what MMPose's ``LoadImage`` makes of the file. DICOM is read as a radiograph.

    Raises:
        MissingImageError: No such file.
        ImageError: A file that is no image, is cut, cannot be decoded, or is larger than
            ``EQUIKPT_MAX_MEGAPIXELS``.
        ImportError: A DICOM file without pydicom.
    """
    return read_with_depth(path)[0]


def read_with_depth(path: str | os.PathLike) -> tuple[np.ndarray, Depth | None]:
    """As :func:`read_image`, with the bits of the file; None for DICOM, which has a window."""
    if is_dicom(path):
        return read_radiograph(path), None
    pixels = decode(path)
    used = 8 if pixels.dtype == np.uint8 else _used_bits(pixels)
    return as_image(pixels), Depth(8 * pixels.itemsize, used)


def image_of_bytes(content: bytes, name: str) -> np.ndarray:
    """Decode the content of a file, no DICOM, as :func:`read_image`; ``name`` is for messages."""
    return as_image(decode_bytes(content, name))


def as_image(pixels: np.ndarray) -> np.ndarray:
    """Convert an array that holds an image to (H, W, 3) uint8, BGR.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGR and alpha, uint8 or uint16.

    Raises:
        ValueError: Another shape or type.
    """
    pixels = np.asarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size:
        raise ValueError(
            "expected an image of shape (H, W), (H, W, 3) or (H, W, 4), got "
            f"{pixels.shape}; pass several images as a list"
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected an image of uint8 or uint16, got {pixels.dtype}; scale it to 0 to 255"
        )
    if pixels.dtype == np.uint16:
        pixels = (pixels >> (_used_bits(pixels) - 8)).astype(np.uint8)
    if channels == 1:
        return cv2.merge([pixels.reshape(pixels.shape[:2])] * 3)
    return np.ascontiguousarray(pixels[..., :3])


def _used_bits(pixels: np.ndarray) -> int:
    needed = int(pixels.max()).bit_length()
    return next(bits for bits in SAMPLE_BITS if bits >= needed)


def each_image(
    paths: Iterable[Path], work: Callable[[Path], Result]
) -> Iterator[tuple[Path, Result | None, str]]:
    """Yield what ``work`` makes of each image, or None and the sentence about a damaged file.

    An :class:`ImageError`, and a library that an image needs and that is not installed, are cases
    of their own. Everything else, such as a full disk, concerns all images and is raised.
    """
    for path in paths:
        try:
            result = work(path)
        except (ImageError, ImportError) as error:
            yield path, None, sentence(error)
        else:
            yield path, result, ""


def failures(lines: Sequence[str], total: int, done: str = "read") -> list[str]:
    """Return the end of a batch's output: how many of ``total`` images failed, then a line each."""
    if not lines:
        return []
    return [f"{len(lines)} of {total} images could not be {done}:", *(f"  {x}" for x in lines)]
