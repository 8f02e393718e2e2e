"""Images as training sees them, or a sentence about what is wrong with the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from equikpt.core.errors import sentence
from equikpt.core.image_decoding import decode, decode_bytes
from equikpt.core.radiograph import is_dicom, read_radiograph
from equikpt_runtime.images import ImageError, as_image, used_bits

Path = TypeVar("Path")
Result = TypeVar("Result")


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
    used = 8 if pixels.dtype == np.uint8 else used_bits(pixels)
    return as_image(pixels), Depth(8 * pixels.itemsize, used)


def image_of_bytes(content: bytes, name: str) -> np.ndarray:
    """Decode the content of a file, no DICOM, as :func:`read_image`; ``name`` is for messages."""
    return as_image(decode_bytes(content, name))


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
